"""The production store: users in MongoDB, through Motor or through PyMongo's own async client."""

from userline.storage.mongo.store import MongoUserStore
from userline.storage.mongo.url import check_mongo_url

__all__ = ["MongoUserStore", "check_mongo_url"]
