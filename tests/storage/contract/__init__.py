"""What any user store must do, whatever it keeps its users in: subclass ``UserStoreContract`` to hold one to it."""

from tests.storage.contract.batches import Batches
from tests.storage.contract.concurrency import Concurrency
from tests.storage.contract.conditions import Conditions
from tests.storage.contract.deleting import Deleting
from tests.storage.contract.life import Life
from tests.storage.contract.reading import Reading
from tests.storage.contract.reference import Reference
from tests.storage.contract.text import Text
from tests.storage.contract.versions import Versions
from tests.storage.contract.writing import Writing


class UserStoreContract(Reading, Writing, Versions, Text, Concurrency, Batches, Deleting, Conditions, Life, Reference):
    """Everything that a store must do. Subclasses provide what :class:`~.base.StoreTests` says."""
