package client;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import org.openapitools.jackson.nullable.JsonNullable;
import org.openapitools.jackson.nullable.JsonNullableModule;

/** The JDK's HttpClient (which offers HTTP/2 with its first request) and Jackson. */
public final class Client {
  private static final String ID = "jackson 🙂";
  private static final String READ = "query ($id: ID!) { user(id: $id) { name photoUrl welcomeMessage } }";
  private static final String SET =
      "mutation ($id: ID!, $input: SetUserInput!) { setUser(id: $id, input: $input) { created changed } }";

  private static final HttpClient HTTP = HttpClient.newHttpClient();
  private static final ObjectMapper JSON = new ObjectMapper().registerModule(new JsonNullableModule());

  public static void main(String[] arguments) throws Exception {
    String token = token(3600);
    Check.equal(post(token, read(ID)).at("/data/user").isNull(), true);
    done("query");

    // A field that is not set is not sent, and stays as it is.
    var created = new SetUserInput();
    created.name = JsonNullable.of("Ann");
    created.photoUrl = JsonNullable.of("https://example.com/ann.png");
    created.welcomeMessage = JsonNullable.of("Hello");
    created.email = JsonNullable.of(List.of("ann@example.com"));
    // One that is null goes back to its default.
    var patched = new SetUserInput();
    patched.photoUrl = JsonNullable.of(null);
    Check.equal(post(token, set(created)).at("/data/setUser/created").asBoolean(), true);
    Check.equal(post(token, set(patched)).at("/data/setUser/changed").asBoolean(), true);
    JsonNode user = post(token, read(ID)).at("/data/user");
    Check.equal(user.path("photoUrl").isNull(), true);
    Check.equal(user.path("name").asText() + user.path("welcomeMessage").asText(), "AnnHello");
    Check.equal(JSON.readTree(control("/user?id=" + encoded(ID))).at("/email/0").asText(), "ann@example.com");
    done("mutation");

    JsonNode answers = post(token, List.of(read(ID), read("nobody")));
    Check.equal(answers.at("/0/data/user/name").asText(), "Ann");
    Check.equal(answers.at("/1/data/user").isNull(), true);
    done("batch");

    var bad = new SetUserInput();
    bad.photoUrl = JsonNullable.of("ftp://a");
    JsonNode told = post(token, set(bad)).at("/errors/0/extensions");
    Check.equal(told.path("code").asText() + told.path("field").asText(), "BAD_USER_INPUTphotoUrl");
    done("error");

    var watching = new Watch(HTTP, token, ID);
    Check.equal(watching.name(), "Ann");
    control("/change?name=Bob&id=" + encoded(ID));
    Check.equal(watching.name(), "Bob");
    done("subscription");

    var ending = new Watch(HTTP, token(2), ID);
    Check.equal(ending.name(), "Bob");
    Check.equal(ending.closeCode(), 4410);
    Check.equal(new Watch(HTTP, token, ID).name(), "Bob");
    done("the end of a token");

    control("/restart");
    Check.equal(watching.closeCode(), 1012);
    var after = new Watch(HTTP, token, ID);
    Check.equal(after.name(), "Bob");
    control("/change?name=Cid&id=" + encoded(ID));
    Check.equal(after.name(), "Cid");
    Check.equal(post(token, read(ID)).at("/data/user/name").asText(), "Cid");
    done("restart");
    System.exit(0);
  }

  private static Map<String, Object> read(String id) {
    return Map.of("query", READ, "variables", Map.of("id", id));
  }

  private static Map<String, Object> set(SetUserInput input) {
    return Map.of("query", SET, "variables", Map.of("id", ID, "input", input));
  }

  private static JsonNode post(String token, Object body) throws Exception {
    var request =
        HttpRequest.newBuilder(URI.create(System.getenv("USERLINE_URL") + "/graphql"))
            .header("Authorization", "Bearer " + token)
            .header("Content-Type", "application/json")
            .POST(BodyPublishers.ofString(JSON.writeValueAsString(body)))
            .build();
    return JSON.readTree(HTTP.send(request, BodyHandlers.ofString()).body());
  }

  private static String token(int seconds) throws Exception {
    return control("/token?seconds=" + seconds + "&user=" + encoded(ID));
  }

  private static String control(String path) throws Exception {
    var request = HttpRequest.newBuilder(URI.create(System.getenv("USERLINE_CONTROL") + path)).build();
    var answer = HTTP.send(request, BodyHandlers.ofString());
    Check.equal(answer.statusCode(), 200);
    return answer.body();
  }

  private static String encoded(String text) {
    return URLEncoder.encode(text, StandardCharsets.UTF_8);
  }

  private static void done(String what) {
    System.out.println("done: " + what);
  }
}
