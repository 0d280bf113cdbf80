use cynic::{coercions::CoercesTo, schema::IsScalar};
use serde::{Serialize, Serializer};

/// A field of a patch. Each field has `#[cynic(skip_serializing_if = "Patch::is_unchanged")]`, without which cynic sends
/// null for what was not given, and null empties it. `Option` cannot say three things.
#[derive(Default)]
pub enum Patch<T> {
    #[default]
    Unchanged,
    Null,
    Value(T),
}

impl<T> Patch<T> {
    pub fn is_unchanged(&self) -> bool {
        matches!(self, Self::Unchanged)
    }
}

impl<T: Serialize> Serialize for Patch<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(value) => value.serialize(serializer),
            Self::Unchanged | Self::Null => serializer.serialize_none(),
        }
    }
}

impl<T: CoercesTo<Type>, Type> CoercesTo<Option<Type>> for Patch<T> {}

impl<T, Type> IsScalar<Type> for Patch<T> {
    type SchemaType = Type;
}
