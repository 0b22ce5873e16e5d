//! The builder methods that the schema types have in common.

/// `schema()`, which every schema type has.
macro_rules! into_schema {
    ($variant:ident) => {
        /// Wraps this up as a [`Schema`](crate::Schema).
        pub const fn schema(self) -> crate::Schema {
            crate::Schema::$variant(self)
        }
    };
}

/// `description()`, which all but objects have.
macro_rules! description_builder {
    () => {
        /// Replaces the description.
        pub const fn description(mut self, description: &'static str) -> Self {
            self.description = description;
            self
        }
    };
}

/// One builder for each field that is an `Option`.
macro_rules! option_builders {
    ($($field:ident: $type:ty),* $(,)?) => {$(
        #[doc = concat!("Sets the field `", stringify!($field), "`.")]
        pub const fn $field(mut self, value: $type) -> Self {
            self.$field = Some(value);
            self
        }
    )*};
}
