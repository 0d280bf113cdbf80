// A typed client that Apollo Kotlin makes of the schema.

import com.apollographql.apollo.ApolloClient
import com.apollographql.apollo.api.Optional
import com.apollographql.apollo.exception.ApolloWebSocketClosedException
import com.apollographql.apollo.network.ws.GraphQLWsProtocol
import generated.GetUserQuery
import generated.GetUsersQuery
import generated.SetUserMutation
import generated.UserChangedSubscription
import generated.type.SetUserInput
import java.net.URI
import java.net.URLEncoder
import java.net.http.HttpClient
import java.net.http.HttpRequest
import java.net.http.HttpResponse.BodyHandlers
import kotlin.system.exitProcess
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout

const val ID = "apollo kotlin 🙂"

fun main(): Unit = runBlocking {
  val client = client(token(3600))

  check(client.read() == null)
  done("query")

  // A field that is not named is absent: it is not sent, and stays as it is.
  client.write(
      SetUserMutation(
          ID,
          SetUserInput(
              name = Optional.present("Ann"),
              photoUrl = Optional.present("https://example.com/ann.png"),
              welcomeMessage = Optional.present("Hello"),
              email = Optional.present(listOf("ann@example.com")),
          ),
      ),
  )
  // One that is present and null goes back to its default.
  client.write(SetUserMutation(ID, SetUserInput(photoUrl = Optional.present(null))))
  val user = client.read()!!
  check(listOf(user.name, user.photoUrl, user.welcomeMessage) == listOf("Ann", null, "Hello")) { user }
  check("ann@example.com" in control("/user", "id" to ID))
  done("mutation")

  val found = client.query(GetUsersQuery(listOf(ID, "nobody"))).execute().dataOrThrow().users
  check(found.map { it?.profile?.name } == listOf("Ann", null)) { found }
  done("batch")

  val refused = client.mutation(SetUserMutation(ID, SetUserInput(photoUrl = Optional.present("ftp://a")))).execute()
  val told = refused.errors!!.single().extensions!!
  check(told["code"] == "BAD_USER_INPUT" && told["field"] == "photoUrl") { told }
  done("error")

  val watching = Watch(this, client)
  check(watching.name() == "Ann")
  control("/change", "id" to ID, "name" to "Bob")
  check(watching.name() == "Bob")
  done("subscription")

  val ending = Watch(this, client(token(2)))
  check(ending.name() == "Bob")
  val expired = ending.failure()
  check("4410" in expired) { expired }
  check(Watch(this, client(token(3600))).name() == "Bob")
  done("the end of a token")

  control("/restart")
  val stopped = watching.failure()
  check("1012" in stopped) { stopped }
  val after = Watch(this, client)
  check(after.name() == "Bob")
  control("/change", "id" to ID, "name" to "Cid")
  check(after.name() == "Cid")
  done("restart")
  exitProcess(0)
}

fun client(token: String): ApolloClient {
  val url = System.getenv("USERLINE_URL") + "/graphql"
  return ApolloClient.Builder()
      .serverUrl(url)
      .webSocketServerUrl(url.replaceFirst("http", "ws"))
      .addHttpHeader("Authorization", "Bearer $token")
      .wsProtocol(GraphQLWsProtocol.Factory(connectionPayload = { mapOf("token" to token) }))
      .build()
}

suspend fun ApolloClient.read() = query(GetUserQuery(ID)).execute().dataOrThrow().user?.profile

suspend fun ApolloClient.write(mutation: SetUserMutation) = mutation(mutation).execute().dataOrThrow().setUser

/** A subscription whose events wait until they are asked for. */
class Watch(scope: CoroutineScope, client: ApolloClient) {
  private val events = Channel<Any?>(Channel.UNLIMITED)

  init {
    scope.launch {
      client.subscription(UserChangedSubscription(ID)).toFlow().collect { event ->
        events.send(event.exception ?: event.dataOrThrow().userChanged?.profile?.name)
      }
    }
  }

  suspend fun name() = withTimeout(30_000) { events.receive() }

  /** What has ended the subscription, with all its causes. */
  suspend fun failure(): String {
    val failure = name() as Throwable
    val causes = generateSequence(failure) { it.cause }.joinToString { if (it is ApolloWebSocketClosedException) "${it.code}" else "$it" }
    return causes
  }
}

fun token(seconds: Int) = control("/token", "user" to ID, "seconds" to "$seconds")

fun control(path: String, vararg given: Pair<String, String>): String {
  val query = given.joinToString("&") { (name, value) -> "$name=${URLEncoder.encode(value, Charsets.UTF_8)}" }
  val request = HttpRequest.newBuilder(URI.create("${System.getenv("USERLINE_CONTROL")}$path?$query")).build()
  val answer = HttpClient.newHttpClient().send(request, BodyHandlers.ofString())
  check(answer.statusCode() == 200) { answer.body() }
  return answer.body()
}

fun done(what: String) = println("done: $what")
