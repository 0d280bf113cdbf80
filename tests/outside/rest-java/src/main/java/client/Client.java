package client;

import generated.ApiClient;
import generated.ApiException;
import generated.api.DefaultApi;
import generated.model.ErrorCode;
import generated.model.User;
import generated.model.UserPatch;
import generated.model.Written;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** A client that openapi-generator makes of the description of the REST API. */
public final class Client {
  private static final String ID = "rest/java 🙂";

  private static DefaultApi api;

  public static void main(String[] arguments) throws Exception {
    var asked = HttpRequest.newBuilder(URI.create(System.getenv("USERLINE_CONTROL") + "/token")).build();
    String token = HttpClient.newHttpClient().send(asked, BodyHandlers.ofString()).body();
    var client = new ApiClient();
    client.updateBaseUri(System.getenv("USERLINE_URL"));
    client.setRequestInterceptor(request -> request.header("Authorization", "Bearer " + token));
    api = new DefaultApi(client);

    expect(
        put(
            new UserPatch()
                .name("Ann")
                .photoUrl("https://example.com/ä.png")
                .welcomeMessage("Hello")
                .email(List.of("ann@example.com"))
                .custom(Map.of("a", "1", "b", "2"))
                .pushTokens(Map.of("fcm:x", true))),
        written(true, true));
    done("create");

    User user = get();
    expect(List.of(user.getId(), user.getCustom()), List.of(ID, Map.of("a", "1", "b", "2")));
    expect(user.getPushTokens(), Map.of("fcm:x", true));
    done("get");

    // What is read-only cannot be set in the patch that is generated, and need not be.
    expect(
        put(new UserPatch().name(user.getName()).photoUrl(user.getPhotoUrl()).email(user.getEmail())),
        written(false, false));
    done("put what was read");

    var withoutA = new HashMap<String, String>();
    withoutA.put("a", null);
    put(new UserPatch().locale("pt-BR").custom(withoutA));
    User patched = get();
    expect(List.of(patched.getLocale(), patched.getCustom()), List.of("pt-BR", Map.of("b", "2")));
    expect(List.of(patched.getPhotoUrl(), patched.getEmail()), List.of(user.getPhotoUrl(), user.getEmail()));
    done("patch");

    var withoutToken = new HashMap<String, Boolean>();
    withoutToken.put("fcm:x", null);
    put(new UserPatch().photoUrl(null).email(null).pushTokens(withoutToken));
    User after = get();
    expect(after.getPhotoUrl(), null);
    expect(List.of(after.getEmail(), after.getPushTokens()), List.of(List.of(), Map.of()));
    expect(after.getWelcomeMessage(), "Hello");
    done("null");

    var several = Map.of(ID, new UserPatch().name("Bob"), "rest/java 2", new UserPatch().name("Two"));
    expect(api.setUsers("userline", several).get(ID), written(false, true));
    done("batch");

    var another = new UserPatch().name("Another");
    expectError(() -> api.setUser("userline", ID, another, null, "*"), 412, ErrorCode.PRECONDITION_FAILED);
    done("condition");

    expect(api.deleteUser("userline", ID, null, null).getDeleted(), true);
    expectError(() -> api.getUser("userline", ID, null, null), 404, ErrorCode.NOT_FOUND);
    done("delete");

    expectError(() -> put(new UserPatch().name("").locale("x_y")), 400, ErrorCode.BAD_USER_INPUT);
    done("error");
  }

  private static Written put(UserPatch patch) throws ApiException {
    return api.setUser("userline", ID, patch, null, null);
  }

  private static User get() throws ApiException {
    return api.getUser("userline", ID, null, null);
  }

  private static Written written(boolean created, boolean changed) {
    return new Written().created(created).changed(changed);
  }

  private interface Call {
    void run() throws ApiException;
  }

  private static void expectError(Call call, int status, ErrorCode code) throws Exception {
    try {
      call.run();
    } catch (ApiException refused) {
      var error = ApiClient.createDefaultObjectMapper().readValue(refused.getResponseBody(), generated.model.Error.class);
      expect(List.of(refused.getCode(), error.getErrorCode()), List.of(status, code));
      return;
    }
    throw new AssertionError("it was not refused");
  }

  private static void expect(Object found, Object wanted) {
    if (!Objects.equals(found, wanted)) {
      throw new AssertionError("found " + found + ", wanted " + wanted);
    }
  }

  private static void done(String what) {
    System.out.println("done: " + what);
  }
}
