package client;

import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.springframework.graphql.client.ClientGraphQlResponse;
import org.springframework.graphql.client.GraphQlClient;
import org.springframework.graphql.client.HttpGraphQlClient;
import org.springframework.graphql.client.WebSocketGraphQlClient;
import org.springframework.graphql.client.WebSocketGraphQlClientInterceptor;
import org.springframework.web.reactive.function.client.WebClient;
import org.springframework.web.reactive.socket.client.ReactorNettyWebSocketClient;
import reactor.core.publisher.Mono;

/** Spring's clients: over HTTP, whose subscriptions are server-sent events, and over a WebSocket. */
public final class Client {
  private static final String ID = "spring 🙂";
  private static final String URL = System.getenv("USERLINE_URL") + "/graphql";
  private static final String READ = "query ($id: ID!) { user(id: $id) { name photoUrl welcomeMessage } }";
  private static final String SET =
      "mutation ($id: ID!, $input: SetUserInput!) { setUser(id: $id, input: $input) { created changed } }";
  private static final String WATCH = "subscription ($id: ID!) { userChanged(id: $id) { name } }";
  private static final Duration PATIENCE = Duration.ofSeconds(30);

  public static void main(String[] arguments) throws Exception {
    HttpGraphQlClient http = http(token(3600));
    equal(ask(http, READ, Map.of("id", ID)).field("user").getValue(), null);
    done("query");

    // Variables are maps: what is not in one is not sent, and stays as it is.
    var created = Map.of(
        "name", "Ann", "photoUrl", "https://example.com/ann.png", "welcomeMessage", "Hello",
        "email", List.of("ann@example.com"));
    // What is there and null goes back to its default.
    var patched = new HashMap<String, Object>();
    patched.put("photoUrl", null);
    equal(ask(http, SET, Map.of("id", ID, "input", created)).field("setUser.created").getValue(), true);
    equal(ask(http, SET, Map.of("id", ID, "input", patched)).field("setUser.changed").getValue(), true);
    Map<String, Object> user = ask(http, READ, Map.of("id", ID)).field("user").getValue();
    equal(List.of(user.get("name"), user.get("welcomeMessage")), List.of("Ann", "Hello"));
    equal(user.get("photoUrl"), null);
    equal(control("/user?id=" + encoded(ID)).contains("ann@example.com"), true);
    done("mutation");

    var many = "query ($ids: [ID!]!) { users(ids: $ids) { name } }";
    List<Map<String, Object>> users = ask(http, many, Map.of("ids", List.of(ID, "nobody"))).field("users").getValue();
    equal(users.get(0).get("name"), "Ann");
    equal(users.get(1), null);
    done("batch");

    var refused = ask(http, SET, Map.of("id", ID, "input", Map.of("photoUrl", "ftp://a"))).getErrors().get(0);
    equal(refused.getExtensions(), Map.of("code", "BAD_USER_INPUT", "field", "photoUrl"));
    done("error");

    GraphQlClient socket = socket(3600);
    var bySocket = new Watch(socket);
    var byEvents = new Watch(http);
    for (Watch watch : List.of(bySocket, byEvents)) {
      equal(watch.next(), "Ann");
    }
    control("/change?name=Bob&id=" + encoded(ID));
    for (Watch watch : List.of(bySocket, byEvents)) {
      equal(watch.next(), "Bob");
    }
    done("subscription");

    var ending = new Watch(socket(2));
    equal(ending.next(), "Bob");
    equal(ending.next(), Watch.OVER);
    equal(new Watch(socket(3600)).next(), "Bob");
    done("the end of a token");

    control("/restart");
    equal(bySocket.next(), Watch.OVER);
    equal(byEvents.next(), Watch.OVER);
    bySocket = new Watch(socket); // it connects again
    byEvents = new Watch(http);
    equal(List.of(bySocket.next(), byEvents.next()), List.of("Bob", "Bob"));
    control("/change?name=Cid&id=" + encoded(ID));
    equal(List.of(bySocket.next(), byEvents.next()), List.of("Cid", "Cid"));
    done("restart");
    System.exit(0);
  }

  /** A subscription whose events wait until they are asked for. */
  private static final class Watch {
    static final String OVER = "it is over";
    private final BlockingQueue<String> events = new LinkedBlockingQueue<>();

    Watch(GraphQlClient client) {
      client
          .document(WATCH)
          .variable("id", ID)
          .executeSubscription()
          .subscribe(
              event -> events.add(event.field("userChanged.name").getValue()),
              error -> events.add(OVER),
              () -> events.add(OVER));
    }

    String next() throws InterruptedException {
      return events.poll(PATIENCE.toSeconds(), TimeUnit.SECONDS);
    }
  }

  private static HttpGraphQlClient http(String token) {
    return HttpGraphQlClient.builder(WebClient.create(URL)).header("Authorization", "Bearer " + token).build();
  }

  private static WebSocketGraphQlClient socket(int seconds) throws Exception {
    String token = token(seconds);
    var interceptor =
        new WebSocketGraphQlClientInterceptor() {
          @Override
          public Mono<Object> connectionInitPayload() {
            return Mono.just(Map.of("token", token));
          }
        };
    var url = URI.create(URL.replaceFirst("http", "ws"));
    return WebSocketGraphQlClient.builder(url, new ReactorNettyWebSocketClient()).interceptor(interceptor).build();
  }

  private static ClientGraphQlResponse ask(GraphQlClient client, String document, Map<String, Object> variables) {
    return client.document(document).variables(variables).execute().block(PATIENCE);
  }

  private static String token(int seconds) throws Exception {
    return control("/token?seconds=" + seconds + "&user=" + encoded(ID));
  }

  private static String control(String path) throws Exception {
    var request = HttpRequest.newBuilder(URI.create(System.getenv("USERLINE_CONTROL") + path)).build();
    var answer = java.net.http.HttpClient.newHttpClient().send(request, BodyHandlers.ofString());
    equal(answer.statusCode(), 200);
    return answer.body();
  }

  private static String encoded(String text) {
    return URLEncoder.encode(text, StandardCharsets.UTF_8);
  }

  private static void equal(Object found, Object wanted) {
    if (!Objects.equals(found, wanted)) {
      throw new AssertionError("found " + found + ", wanted " + wanted);
    }
  }

  private static void done(String what) {
    System.out.println("done: " + what);
  }
}
