//! async-graphql on axum, on one thread: `async-graphql-peer memory:FILE` serves on a free port that it prints.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_graphql::{Context, ID, InputObject, Json, Object, Schema, SimpleObject, Subscription};
use async_graphql_axum::{GraphQL, GraphQLSubscription};
use axum::Router;
use axum::routing::get_service;
use axum::serve::ListenerExt;
use futures_util::stream::{self, Stream, StreamExt};
use serde::Deserialize;
use tokio::net::TcpSocket;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_stream::wrappers::UnboundedReceiverStream;

type Custom = Json<HashMap<String, String>>;

#[derive(Clone, Deserialize, SimpleObject)]
#[serde(rename_all = "camelCase")]
struct User {
    id: ID,
    name: String,
    custom: Custom,
    locale: Option<String>,
    photo_url: Option<String>,
    role: String,
    welcome_message: Option<String>,
}

#[derive(InputObject)]
struct SetUserInput {
    name: Option<String>,
    custom: Option<Custom>,
    locale: Option<String>,
    photo_url: Option<String>,
    role: Option<String>,
    welcome_message: Option<String>,
}

#[derive(SimpleObject)]
struct SetUserPayload {
    user: Arc<User>,
    changed: bool,
}

/// The users, and who watches which of them: a channel for each subscription.
#[derive(Default)]
struct Store {
    users: Mutex<HashMap<String, Arc<User>>>,
    watchers: Mutex<HashMap<String, Vec<UnboundedSender<Arc<User>>>>>,
}

impl Store {
    fn get(&self, id: &str) -> Option<Arc<User>> {
        self.users.lock().unwrap().get(id).cloned()
    }

    fn set(&self, id: &str, given: SetUserInput) -> Option<Arc<User>> {
        let mut users = self.users.lock().unwrap();
        let before = users.get(id)?;
        let user = Arc::new(User {
            id: before.id.clone(),
            name: given.name.unwrap_or_else(|| before.name.clone()),
            custom: given.custom.unwrap_or_else(|| before.custom.clone()),
            locale: given.locale.or_else(|| before.locale.clone()),
            photo_url: given.photo_url.or_else(|| before.photo_url.clone()),
            role: given.role.unwrap_or_else(|| before.role.clone()),
            welcome_message: given.welcome_message.or_else(|| before.welcome_message.clone()),
        });
        users.insert(id.to_owned(), user.clone());
        if let Some(watchers) = self.watchers.lock().unwrap().get_mut(id) {
            watchers.retain(|watcher| watcher.send(user.clone()).is_ok());
        }
        Some(user)
    }

    fn watch(&self, id: &str) -> impl Stream<Item = Option<Arc<User>>> + use<> {
        let (sender, receiver) = unbounded_channel();
        let mut all = self.watchers.lock().unwrap();
        let watchers = all.entry(id.to_owned()).or_default();
        watchers.retain(|watcher| !watcher.is_closed());
        watchers.push(sender);
        let first = self.get(id);
        stream::once(async { first }).chain(UnboundedReceiverStream::new(receiver).map(Some))
    }
}

struct Query;

#[Object]
impl Query {
    async fn user(&self, context: &Context<'_>, id: ID) -> Option<Arc<User>> {
        context.data_unchecked::<Store>().get(&id)
    }

    async fn users(&self, context: &Context<'_>, ids: Vec<ID>) -> Vec<Option<Arc<User>>> {
        let store = context.data_unchecked::<Store>();
        ids.iter().map(|id| store.get(id)).collect()
    }
}

struct Mutation;

#[Object]
impl Mutation {
    async fn set_user(
        &self,
        context: &Context<'_>,
        id: ID,
        input: SetUserInput,
    ) -> async_graphql::Result<SetUserPayload> {
        let user = context.data_unchecked::<Store>().set(&id, input).ok_or("There is no such user.")?;
        Ok(SetUserPayload { user, changed: true })
    }
}

struct Subscriptions;

#[Subscription(name = "Subscription")]
impl Subscriptions {
    async fn user_changed(&self, context: &Context<'_>, id: ID) -> impl Stream<Item = Option<Arc<User>>> {
        context.data_unchecked::<Store>().watch(&id)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = std::env::args().nth(1).ok_or("usage: async-graphql-peer memory:FILE")?;
    let file = store.strip_prefix("memory:").ok_or("There is no other store than memory:FILE.")?;
    let found: Vec<User> = serde_json::from_slice(&std::fs::read(file)?)?;
    let users = found.into_iter().map(|user| (user.id.to_string(), Arc::new(user))).collect();
    let store = Store { users: Mutex::new(users), ..Store::default() };
    let schema = Schema::build(Query, Mutation, Subscriptions).data(store).finish();
    let sockets = get_service(GraphQLSubscription::new(schema.clone()));
    let app = Router::new().route("/graphql", sockets.post_service(GraphQL::new(schema)));

    let socket = TcpSocket::new_v4()?;
    socket.bind(([127, 0, 0, 1], 0).into())?;
    let listener = socket.listen(2048)?;
    println!("http://{}", listener.local_addr()?);
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, app).await?;
    Ok(())
}
