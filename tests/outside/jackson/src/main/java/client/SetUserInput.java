package client;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.util.List;
import java.util.Map;
import org.openapitools.jackson.nullable.JsonNullable;

/**
 * A patch. Without {@code JsonInclude}, Jackson writes null for what was not given, and null empties it; {@code NON_NULL}
 * would write no null at all. A JsonNullable says all three: undefined is left out, and the ObjectMapper needs
 * {@code registerModule(new JsonNullableModule())}.
 */
@JsonInclude(JsonInclude.Include.NON_ABSENT)
public final class SetUserInput {
  public JsonNullable<String> name = JsonNullable.undefined();
  public JsonNullable<Map<String, String>> custom = JsonNullable.undefined();
  public JsonNullable<String> locale = JsonNullable.undefined();
  public JsonNullable<String> photoUrl = JsonNullable.undefined();
  public JsonNullable<String> role = JsonNullable.undefined();
  public JsonNullable<String> welcomeMessage = JsonNullable.undefined();
  public JsonNullable<List<String>> email = JsonNullable.undefined();
  public JsonNullable<List<String>> phone = JsonNullable.undefined();
  public JsonNullable<Map<String, Boolean>> pushTokens = JsonNullable.undefined();
}
