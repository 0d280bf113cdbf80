use std::collections::HashMap;

use crate::patch::Patch;

#[cynic::schema("userline")]
mod schema {}

// The custom scalars as the types of this program.
#[derive(cynic::Scalar, Debug, Clone)]
pub struct Custom(pub HashMap<String, Option<String>>);

#[derive(cynic::Scalar, Debug, Clone)]
pub struct PushTokens(pub HashMap<String, Option<bool>>);

#[derive(cynic::QueryVariables)]
pub struct ById {
    pub id: cynic::Id,
}

#[derive(cynic::QueryFragment, Debug)]
pub struct User {
    pub name: String,
    pub photo_url: Option<String>,
    pub welcome_message: Option<String>,
    pub custom: Custom,
}

#[derive(cynic::QueryFragment, Debug)]
#[cynic(graphql_type = "Query", variables = "ById")]
pub struct GetUser {
    #[arguments(id: $id)]
    pub user: Option<User>,
}

#[derive(cynic::QueryFragment, Debug)]
#[cynic(graphql_type = "Subscription", variables = "ById")]
pub struct UserChanged {
    #[arguments(id: $id)]
    pub user_changed: Option<User>,
}

#[derive(cynic::InputObject, Default)]
pub struct SetUserInput {
    #[cynic(skip_serializing_if = "Patch::is_unchanged")]
    pub name: Patch<String>,
    #[cynic(skip_serializing_if = "Patch::is_unchanged")]
    pub custom: Patch<Custom>,
    #[cynic(skip_serializing_if = "Patch::is_unchanged")]
    pub locale: Patch<String>,
    #[cynic(skip_serializing_if = "Patch::is_unchanged")]
    pub photo_url: Patch<String>,
    #[cynic(skip_serializing_if = "Patch::is_unchanged")]
    pub role: Patch<String>,
    #[cynic(skip_serializing_if = "Patch::is_unchanged")]
    pub welcome_message: Patch<String>,
    #[cynic(skip_serializing_if = "Patch::is_unchanged")]
    pub email: Patch<Vec<String>>,
    #[cynic(skip_serializing_if = "Patch::is_unchanged")]
    pub phone: Patch<Vec<String>>,
    #[cynic(skip_serializing_if = "Patch::is_unchanged")]
    pub push_tokens: Patch<PushTokens>,
}

#[derive(cynic::QueryVariables)]
pub struct SetUserVariables {
    pub id: cynic::Id,
    pub input: SetUserInput,
}

#[derive(cynic::QueryFragment, Debug)]
#[cynic(graphql_type = "Mutation", variables = "SetUserVariables")]
pub struct SetUser {
    #[arguments(id: $id, input: $input)]
    pub set_user: SetUserPayload,
}

#[derive(cynic::QueryFragment, Debug)]
pub struct SetUserPayload {
    pub created: bool,
    pub changed: bool,
}

#[derive(serde::Deserialize, Debug)]
pub struct Extensions {
    pub code: String,
    pub field: Option<String>,
}
