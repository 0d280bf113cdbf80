"""What MongoDB does with the commands that the store sends, in memory."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from pymongo import InsertOne, ReplaceOne, UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError
from pymongo.results import BulkWriteResult, DeleteResult, InsertManyResult, InsertOneResult, UpdateResult

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    Document = dict[str, Any]

_TAKEN: dict[str, Any] = {"code": 11000, "keyPattern": {"_id": 1}, "errmsg": "E11000 duplicate key error"}


def _matches(document: Mapping[str, Any], query: Mapping[str, Any]) -> bool:
    for name, wanted in query.items():
        if isinstance(wanted, dict):
            ((operator, value),) = wanted.items()
            if operator == "$lt":
                if not document[name] < value:
                    return False
                continue
            assert operator == "$in", query
            if document.get(name) not in value:
                return False
        elif document.get(name) != wanted:
            return False
    return True


class ModelCollection:
    """The documents of one collection. A statement takes effect whole; ``between`` is awaited before each of many."""

    def __init__(self) -> None:
        self.documents: dict[Any, Document] = {}

    def find_now(self, query: Mapping[str, Any]) -> list[Document]:
        return [deepcopy(each) for each in self.documents.values() if _matches(each, query)]

    async def insert_one(self, document: Document) -> InsertOneResult:
        if document["_id"] in self.documents:
            raise DuplicateKeyError(_TAKEN["errmsg"], 11000, _TAKEN)
        self.documents[document["_id"]] = deepcopy(document)
        return InsertOneResult(document["_id"], True)

    async def replace_one(self, query: Document, document: Document, *, upsert: bool = False) -> UpdateResult:
        found = next(iter(self.find_now(query)), None)
        if found is None and upsert:
            await self.insert_one(document)
            return UpdateResult({"n": 1, "upserted": document["_id"]}, True)
        if found is not None:
            assert found["_id"] == document["_id"]
            self.documents[found["_id"]] = deepcopy(document)
        return UpdateResult({"n": int(found is not None)}, True)

    async def update_one(self, query: Document, update: Document, *, upsert: bool = False) -> UpdateResult:
        found = next(iter(self.find_now(query)), None)
        if found is None and upsert:
            found = self.documents[query["_id"]] = {"_id": query["_id"]}
        if found is not None:
            assert update.keys() <= {"$set", "$max"}
            document = self.documents[found["_id"]]
            document |= deepcopy(update["$set"])
            document |= {name: max(value, document.get(name, value)) for name, value in update.get("$max", {}).items()}
        return UpdateResult({"n": int(found is not None)}, True)

    async def find_one_and_update(self, query: Document, update: Document, *, upsert: bool = False) -> Document | None:
        """Return the document as it was before."""
        found = next(iter(self.find_now(query)), None)
        await self.update_one(query, update, upsert=upsert)
        return found

    async def delete_one(self, query: Document) -> DeleteResult:
        found = self.find_now(query)[:1]
        for each in found:
            del self.documents[each["_id"]]
        return DeleteResult({"n": len(found)}, True)

    async def delete_many(self, query: Document) -> DeleteResult:
        found = self.find_now(query)
        for each in found:
            del self.documents[each["_id"]]
        return DeleteResult({"n": len(found)}, True)

    async def insert_many(
        self, documents: Sequence[Document], *, between: Callable[[str], Awaitable[None]]
    ) -> InsertManyResult:
        await self.bulk_write([InsertOne(document) for document in documents], between=between)
        return InsertManyResult([document["_id"] for document in documents], True)

    async def bulk_write(
        self, operations: Sequence[Any], *, between: Callable[[str], Awaitable[None]]
    ) -> BulkWriteResult:
        """Do as an unordered bulk does: PyMongo sends the insertions first, and then the others."""
        errors: list[Document] = []
        upserted: list[Document] = []
        counts = {"nInserted": 0, "nMatched": 0, "nModified": 0, "nRemoved": 0, "nUpserted": 0}
        order = sorted(range(len(operations)), key=lambda index: not isinstance(operations[index], InsertOne))
        for index in order:
            operation = operations[index]
            await between(f"statement {index}")
            try:
                if isinstance(operation, InsertOne):
                    await self.insert_one(operation._doc)
                    counts["nInserted"] += 1
                    continue
                if isinstance(operation, ReplaceOne):
                    done = await self.replace_one(
                        operation._filter,  # type: ignore[arg-type]
                        operation._doc,  # type: ignore[arg-type]
                        upsert=bool(operation._upsert),
                    )
                else:
                    assert isinstance(operation, UpdateOne)
                    done = await self.update_one(operation._filter, operation._doc)  # type: ignore[arg-type]
            except DuplicateKeyError:
                errors.append({"index": index, **_TAKEN})
            else:
                if done.upserted_id is not None:
                    upserted.append({"index": index, "_id": done.upserted_id})
                    counts["nUpserted"] += 1
                else:
                    counts["nMatched"] += done.matched_count
        result = {**counts, "upserted": upserted, "writeErrors": errors, "writeConcernErrors": []}
        if errors:
            raise BulkWriteError(result)
        return BulkWriteResult(result, True)
