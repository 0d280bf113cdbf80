import com.apollographql.apollo.compiler.ApolloCompiler;
import com.apollographql.apollo.compiler.CodegenSchemaOptions;
import com.apollographql.apollo.compiler.InputFile;
import com.apollographql.apollo.compiler.OptionsKt;
import com.apollographql.apollo.compiler.codegen.SourceOutputKt;
import java.io.File;
import java.util.List;
import java.util.Map;

/** Makes Kotlin of the schema and the operations, as the Gradle plugin does. Custom scalars are {@code Any}. */
public final class Generate {
  public static void main(String[] arguments) {
    var schema = new InputFile(new File(arguments[0]), "schema.graphqls");
    var operations = new InputFile(new File(arguments[1]), "operations.graphql");
    var made =
        ApolloCompiler.INSTANCE.buildSchemaAndOperationsSources(
            List.of(schema),
            List.of(operations),
            new CodegenSchemaOptions(Map.of(), Map.of(), null),
            OptionsKt.buildIrOptions(null, null, null, null, null, null, null, null, null),
            OptionsKt.buildCodegenOptions(
                null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null,
                null, null, null, null, null, "generated", null),
            null,
            null,
            null,
            null,
            null,
            null,
            null,
            null);
    SourceOutputKt.writeTo(made, new File(arguments[2]), false, null);
  }
}
