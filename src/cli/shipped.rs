pub fn views() -> Vec<super::views::ViewFile> {
    vec![]
}
