fn main() {
    for (word, times) in count::words(include_str!("../poem.txt")) {
        println!("{times} {word}");
    }
}
