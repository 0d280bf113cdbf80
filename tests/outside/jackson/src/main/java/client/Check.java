package client;

import java.util.Objects;

final class Check {
  private Check() {}

  static void equal(Object found, Object wanted) {
    if (!Objects.equals(found, wanted)) {
      throw new AssertionError("found " + found + ", wanted " + wanted);
    }
  }
}
