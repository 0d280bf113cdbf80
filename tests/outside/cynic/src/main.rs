//! A typed client made with cynic, with graphql-ws-client for subscriptions.

mod patch;
mod queries;

use std::env;

use cynic::{GraphQlResponse, MutationBuilder, QueryBuilder, SubscriptionBuilder};
use futures_util::StreamExt;
use graphql_ws_client::{Client, Subscription};
use patch::Patch;
use queries::{
    ById, Extensions, GetUser, SetUser, SetUserInput, SetUserVariables, User, UserChanged,
};
use serde::{de::DeserializeOwned, Serialize};
use serde_json::json;
use tokio_tungstenite::{connect_async, tungstenite::client::IntoClientRequest};

const ID: &str = "cynic 🙂";

type Failure = Box<dyn std::error::Error>;
type Watching = Subscription<cynic::StreamingOperation<UserChanged, ById>>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let token = token(3600)?;
    let ask = |id: &str| GetUser::build(ById { id: id.into() });
    let set = |input| {
        SetUser::build(SetUserVariables {
            id: ID.into(),
            input,
        })
    };

    let nobody: GraphQlResponse<GetUser> = post(&token, &ask(ID))?;
    assert!(nobody.data.unwrap().user.is_none());
    done("query");

    // A field that is not named is not sent, and stays as it is.
    let created = set(SetUserInput {
        name: Patch::Value("Ann".into()),
        photo_url: Patch::Value("https://example.com/ann.png".into()),
        welcome_message: Patch::Value("Hello".into()),
        email: Patch::Value(vec!["ann@example.com".into()]),
        ..Default::default()
    });
    // One that is null goes back to its default.
    let patched = set(SetUserInput {
        photo_url: Patch::Null,
        ..Default::default()
    });
    let written: GraphQlResponse<SetUser> = post(&token, &created)?;
    assert!(written.data.unwrap().set_user.created);
    let written: GraphQlResponse<SetUser> = post(&token, &patched)?;
    let written = written.data.unwrap().set_user;
    assert_eq!((written.created, written.changed), (false, true));
    let read: GraphQlResponse<GetUser> = post(&token, &ask(ID))?;
    let user = read.data.unwrap().user.unwrap();
    assert_eq!((user.name.as_str(), user.photo_url), ("Ann", None));
    assert_eq!(user.welcome_message.as_deref(), Some("Hello"));
    assert!(user.custom.0.is_empty());
    assert!(control("/user", &[("id", ID)])?.contains("ann@example.com"));
    done("mutation");

    let answers: Vec<GraphQlResponse<GetUser>> = post(&token, &[ask(ID), ask("nobody")])?;
    let names: Vec<_> = answers
        .into_iter()
        .map(|each| each.data.unwrap().user.map(|user| user.name))
        .collect();
    assert_eq!(names, [Some("Ann".to_owned()), None]);
    done("batch");

    let bad = set(SetUserInput {
        photo_url: Patch::Value("ftp://a".into()),
        ..Default::default()
    });
    let refused: GraphQlResponse<SetUser, Extensions> = post(&token, &bad)?;
    let told = refused.errors.unwrap().remove(0).extensions.unwrap();
    assert_eq!(
        (told.code.as_str(), told.field.as_deref()),
        ("BAD_USER_INPUT", Some("photoUrl"))
    );
    done("error");

    let mut watching = watch(&token).await?;
    assert_eq!(name(&mut watching).await?, "Ann");
    control("/change", &[("id", ID), ("name", "Bob")])?;
    assert_eq!(name(&mut watching).await?, "Bob");
    done("subscription");

    let mut ending = watch(&crate::token(2)?).await?;
    assert_eq!(name(&mut ending).await?, "Bob");
    assert!(name(&mut ending).await.is_err()); // the stream is over; its code is not told, and nobody comes back by itself
    assert_eq!(name(&mut watch(&token).await?).await?, "Bob");
    done("the end of a token");

    control("/restart", &[])?;
    assert!(name(&mut watching).await.is_err());
    let mut watching = watch(&token).await?;
    assert_eq!(name(&mut watching).await?, "Bob");
    control("/change", &[("id", ID), ("name", "Cid")])?;
    assert_eq!(name(&mut watching).await?, "Cid");
    done("restart");
    Ok(())
}

async fn watch(token: &str) -> Result<Watching, Failure> {
    let mut request = env::var("USERLINE_URL")?
        .replace("http", "ws")
        .add("/graphql")
        .into_client_request()?;
    request
        .headers_mut()
        .insert("Sec-WebSocket-Protocol", "graphql-transport-ws".parse()?);
    let (connection, _) = connect_async(request).await?;
    let client = Client::build(connection).payload(json!({ "token": token }))?;
    Ok(client
        .subscribe(UserChanged::build(ById { id: ID.into() }))
        .await?)
}

/// The name in the next event. Fails when the subscription is over.
async fn name(watching: &mut Watching) -> Result<String, Failure> {
    let event = watching.next().await.ok_or("the subscription is over")??;
    let user: Option<User> = event.data.ok_or("an event without data")?.user_changed;
    Ok(user.ok_or("no such user")?.name)
}

fn post<T: DeserializeOwned>(token: &str, body: &(impl Serialize + ?Sized)) -> Result<T, Failure> {
    let mut answer = ureq::post(env::var("USERLINE_URL")?.add("/graphql"))
        .header("Authorization", &format!("Bearer {token}"))
        .config()
        .http_status_as_error(false)
        .build()
        .send_json(body)?;
    Ok(answer.body_mut().read_json()?)
}

fn token(seconds: u32) -> Result<String, Failure> {
    control("/token", &[("user", ID), ("seconds", &seconds.to_string())])
}

fn control(path: &str, given: &[(&str, &str)]) -> Result<String, Failure> {
    let url = env::var("USERLINE_CONTROL")?.add(path);
    let mut answer = ureq::get(url).query_pairs(given.iter().copied()).call()?;
    Ok(answer.body_mut().read_to_string()?)
}

trait Add {
    fn add(self, more: &str) -> String;
}

impl Add for String {
    fn add(mut self, more: &str) -> String {
        self.push_str(more);
        self
    }
}

fn done(what: &str) {
    println!("done: {what}");
}
