"""Documents written in another way: fields split and repeated, fragments in fragments, literals as variables, escapes.

Most rewritten documents ask for the same as before. Some cannot be executed, which has to be told in the same way by
all that execute.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from graphql import (
    BooleanValueNode,
    ConstArgumentNode,
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FloatValueNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    Lexer,
    NamedTypeNode,
    NameNode,
    NullValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    Source,
    StringValueNode,
    TokenKind,
    TypeInfo,
    TypeInfoVisitor,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
    parse,
    parse_type,
    print_ast,
    visit,
)
from graphql.utilities import value_from_ast_untyped

if TYPE_CHECKING:
    from random import Random

_IGNORED: Final = (" ", " ", " ", "  ", ", ", "\n", "\t", "\r\n", " # {\n", "\ufeff")
_FRAGMENT_NAMES: Final = ("on", "type", "fragment", "query", "true")
_OTHERS: Final = """
query Other { app { id } user(id: "other") { name } }
mutation Write { deleteUser(id: 5) { deleted } }
"""
_OTHERS_UNSOUND: Final = "query Other($unused: Int = 1) { app { id } a: user(id: $missing) { id } }"
_LITERALS: Final = (StringValueNode, IntValueNode, FloatValueNode, BooleanValueNode, ObjectValueNode, NullValueNode)


class Rewritten(NamedTuple):
    """A document, the values of the variables that it has more than before, and which operation is meant."""

    query: str
    variables: dict[str, Any] = {}  # noqa: RUF012 - a tuple's default, which nobody changes
    name: str | None = None


class Rewriter:
    """Rewrites documents for a schema. Equal chances make equal documents."""

    def __init__(self, chance: Random, schema: GraphQLSchema) -> None:
        self._chance = chance
        self._schema = schema

    def rewrite(self, query: str) -> Rewritten:
        """Return a document in another way."""
        chance = self._chance
        document = parse(query)
        values: dict[str, Any] = {}
        name = None
        if chance.random() < 0.5:
            document, values = self._with_variables(document)
        if chance.random() < 0.7:
            document = self._with_fragments(document)
        if chance.random() < 0.3:
            document, name = self._among_others(document)
        text = print_ast(document)
        return Rewritten(self._respelled(text) if chance.random() < 0.6 else text, values, name)

    def _with_variables(self, document: DocumentNode) -> tuple[DocumentNode, dict[str, Any]]:
        """Have variables, most of them with defaults, in the place of some literals of the operation itself."""
        info = TypeInfo(self._schema)
        hoisting = _Hoisting(self._chance, info)
        document = visit(document, TypeInfoVisitor(info, hoisting))
        parts = [
            replace(part, variable_definitions=(*(part.variable_definitions or ()), *hoisting.definitions))
            if isinstance(part, OperationDefinitionNode)
            else part
            for part in document.definitions
        ]
        return DocumentNode(definitions=tuple(parts)), hoisting.values

    def _with_fragments(self, document: DocumentNode) -> DocumentNode:
        """Split selections into more of them, and put some into fragments."""
        info = TypeInfo(self._schema)
        wrapping = _Wrapping(self._chance, info)
        document = visit(document, TypeInfoVisitor(info, wrapping))
        return DocumentNode(definitions=(*document.definitions, *wrapping.fragments))

    def _among_others(self, document: DocumentNode) -> tuple[DocumentNode, str | None]:
        """Return a document with other operations, and the name that is to be executed, which may be a wrong one."""
        chance = self._chance
        parts = [
            replace(part, name=NameNode(value="Main")) if isinstance(part, OperationDefinitionNode) else part
            for part in document.definitions
        ]
        parts += parse(_OTHERS if chance.random() < 0.9 else _OTHERS_UNSOUND).definitions
        chance.shuffle(parts)
        return DocumentNode(definitions=tuple(parts)), chance.choice(("Main",) * 8 + ("Nobody", "", None))

    def _respelled(self, text: str) -> str:
        """Return the same tokens with other spaces between, and strings with escapes or as blocks."""
        chance = self._chance
        lexer = Lexer(Source(text))
        written: list[str] = []
        while (token := lexer.advance()).kind is not TokenKind.EOF:
            if token.kind in (TokenKind.STRING, TokenKind.BLOCK_STRING):
                written.append(self._string(token.value or ""))
            elif token.value is not None and token.kind is not TokenKind.COMMENT:
                written.append(token.value)
            else:
                written.append(token.kind.value)
            written.append(chance.choice(_IGNORED) if chance.random() < 0.3 else " ")
        return "".join(written)

    def _string(self, value: str) -> str:
        chance = self._chance
        odds = chance.random()
        if odds < 0.25 and not set(value) & set('\\"\0') and value.strip() == value and value:
            return chance.choice(('"""{}"""', '"""\n   {}\n  """', '"""  {}"""')).format(value)
        if odds < 0.5:
            escape = chance.choice(("\\u{:04x}", "\\u{{{:x}}}", "\\u{{{:08X}}}"))
            return '"' + "".join(escape.format(ord(each)) if ord(each) < 65536 else each for each in value) + '"'
        return json.dumps(value, ensure_ascii=False)


class _Hoisting(Visitor):
    """Puts variables in the place of literals."""

    def __init__(self, chance: Random, info: TypeInfo) -> None:
        super().__init__()
        self._chance = chance
        self._info = info
        self.definitions: list[VariableDefinitionNode] = []
        self.values: dict[str, Any] = {}

    def enter_variable_definition(self, *_: Any) -> Any:
        return self.SKIP

    def enter_fragment_definition(self, *_: Any) -> Any:
        return self.SKIP

    def enter(self, node: Any, *_: Any) -> Any:
        expected = self._info.get_input_type()
        if not isinstance(node, _LITERALS) or expected is None or self._chance.random() < 0.6:
            return None
        return None if "$" in print_ast(node) else self._variable(node, str(expected))

    def _variable(self, node: Any, expected: str) -> VariableNode:
        """Return a variable, nullable or not, with or without a default, and perhaps with a value."""
        chance = self._chance
        name = f"v{len(self.definitions)}"
        has_default = chance.random() < 0.7
        if has_default and chance.random() < 0.5:
            expected = expected.removesuffix("!")
        elif not expected.endswith("!") and chance.random() < 0.2:
            expected += "!"
        variable = VariableNode(name=NameNode(value=name))
        self.definitions.append(
            VariableDefinitionNode(
                variable=variable,
                type=parse_type(expected),
                default_value=node if has_default else None,
                directives=(),
            )
        )
        if chance.random() < (0.4 if has_default else 0.9):
            self.values[name] = chance.choice((*(value_from_ast_untyped(node),) * 4, None))
        return variable


class _Wrapping(Visitor):
    """Splits and repeats fields, and wraps them into fragments."""

    def __init__(self, chance: Random, info: TypeInfo) -> None:
        super().__init__()
        self._chance = chance
        self._info = info
        self.fragments: list[FragmentDefinitionNode] = []

    def leave_selection_set(self, node: SelectionSetNode, *_: Any) -> Any:
        chance = self._chance
        on = self._info.get_parent_type()
        selections = [part for selection in node.selections for part in self._split(selection)]
        if on is not None and chance.random() < 0.3:
            start = chance.randrange(len(selections))
            end = chance.randint(start + 1, len(selections))
            selections[start:end] = [self._wrapped(tuple(selections[start:end]), on.name)]
        if chance.random() < 0.2:
            selections.append(chance.choice(selections))
        return SelectionSetNode(selections=tuple(selections))

    def _split(self, selection: Any) -> list[Any]:
        """Return a field once, or twice with parts of its selection, which together are the whole."""
        chance = self._chance
        inside = getattr(selection, "selection_set", None)
        if inside is None or not isinstance(selection, FieldNode) or chance.random() < 0.7:
            return [selection]
        many = list(inside.selections)
        chance.shuffle(many)
        cut = chance.randint(1, len(many))
        halves = (many[:cut], many[cut:] or many[:1])
        return [replace(selection, selection_set=SelectionSetNode(selections=tuple(half))) for half in halves]

    def _wrapped(self, selections: tuple[Any, ...], on: str) -> Any:
        chance = self._chance
        inside = SelectionSetNode(selections=selections)
        condition = NamedTypeNode(name=NameNode(value=on))
        directives = self._directives()
        if chance.random() < 0.5:
            return InlineFragmentNode(
                type_condition=chance.choice((condition, None)), directives=directives, selection_set=inside
            )
        name = NameNode(value=f"{chance.choice(_FRAGMENT_NAMES)}{len(self.fragments)}")
        self.fragments.append(
            FragmentDefinitionNode(
                name=name, type_condition=condition, directives=(), variable_definitions=(), selection_set=inside
            )
        )
        return FragmentSpreadNode(name=name, directives=directives)

    def _directives(self) -> tuple[DirectiveNode, ...]:
        if self._chance.random() < 0.7:
            return ()
        names = self._chance.choice((("include",), ("skip",), ("skip", "include")))
        return tuple(
            DirectiveNode(
                name=NameNode(value=name),
                arguments=(
                    ConstArgumentNode(
                        name=NameNode(value="if"), value=BooleanValueNode(value=self._chance.random() < 0.5)
                    ),
                ),
            )
            for name in names
        )
