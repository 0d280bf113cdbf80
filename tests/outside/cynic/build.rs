fn main() {
    cynic_codegen::register_schema("userline")
        .from_sdl_file("../../../schema/schema.graphql")
        .expect("the schema is sound")
        .as_default()
        .expect("there is one schema");
}
