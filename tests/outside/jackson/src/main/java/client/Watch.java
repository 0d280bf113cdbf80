package client;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** A subscription on a socket of the JDK, by the messages of PROTOCOL.md. */
final class Watch implements WebSocket.Listener {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String QUERY = "subscription ($id: ID!) { userChanged(id: $id) { name } }";

  private final BlockingQueue<JsonNode> messages = new LinkedBlockingQueue<>();
  private final BlockingQueue<Integer> closed = new LinkedBlockingQueue<>();
  private final StringBuilder text = new StringBuilder();

  Watch(HttpClient http, String token, String id) throws Exception {
    WebSocket socket =
        http.newWebSocketBuilder()
            .subprotocols("graphql-transport-ws")
            .buildAsync(URI.create(System.getenv("USERLINE_URL").replaceFirst("http", "ws") + "/graphql"), this)
            .get(30, TimeUnit.SECONDS);
    send(socket, Map.of("type", "connection_init", "payload", Map.of("token", token)));
    Check.equal(next().path("type").asText(), "connection_ack");
    var payload = Map.of("query", QUERY, "variables", Map.of("id", id));
    send(socket, Map.of("id", "1", "type", "subscribe", "payload", payload));
  }

  /** Returns the name in the next event. */
  String name() throws Exception {
    JsonNode message = next();
    Check.equal(message.path("type").asText(), "next");
    return message.at("/payload/data/userChanged/name").asText();
  }

  /** Returns the code that the gateway has closed the socket with. */
  int closeCode() throws Exception {
    return closed.poll(30, TimeUnit.SECONDS);
  }

  private JsonNode next() throws Exception {
    JsonNode message = messages.poll(30, TimeUnit.SECONDS);
    if (message == null) {
      throw new AssertionError("nothing came");
    }
    return message;
  }

  private static void send(WebSocket socket, Object message) throws Exception {
    socket.sendText(JSON.writeValueAsString(message), true).get(30, TimeUnit.SECONDS);
  }

  @Override
  public CompletionStage<?> onText(WebSocket socket, CharSequence data, boolean last) {
    text.append(data);
    if (last) {
      try {
        JsonNode message = JSON.readTree(text.toString());
        if (message.path("type").asText().equals("ping")) {
          socket.sendText("{\"type\":\"pong\"}", true);
        } else {
          messages.add(message);
        }
      } catch (Exception error) {
        throw new IllegalStateException(error);
      }
      text.setLength(0);
    }
    socket.request(1);
    return null;
  }

  @Override
  public CompletionStage<?> onClose(WebSocket socket, int code, String reason) {
    closed.add(code);
    return null;
  }
}
