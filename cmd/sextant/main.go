// Command sextant says how good a language model is.
package main

func main() {}
