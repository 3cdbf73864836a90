package main

import (
	"regexp"
)

// wordings are what kong says, and what we say instead. A test holds that none of its
// own comes through.
var wordings = []struct {
	of *regexp.Regexp
	is string
}{
	{regexp.MustCompile(`: expected a valid \d+ bit u?int but got "(.*?)"`), `: "$1" is not a whole number`},
	{regexp.MustCompile(`: expected int value but got "(.*?)".*`), `: "$1" is not a whole number from 0 on`},
	{regexp.MustCompile(`: expected duration but got "(.*?)": time: .*?( \(from|$)`),
		`: "$1" is not a duration: write 90s, 10m or 2h$2`},
	{regexp.MustCompile(`: bool value must be true, 1, yes, false, 0 or no but got "(.*?)"`),
		`: "$1" is neither true nor false`},
	{regexp.MustCompile(` \(from envar (\w+)=.*\)$`), ` ($1 in the environment)`},
	{regexp.MustCompile(`^\[?<(\w+)>\]?( must| is|:)`), `$1$2`},
	{regexp.MustCompile(`must be one of (.*?)(?:,"")? but got "(.*)"`), `must be one of $1, not "$2"`},
	{regexp.MustCompile(`^expected "(.*)"$`), `missing: $1`},
	{regexp.MustCompile(`^missing flags: (.*)$`), `missing: $1`},
	{regexp.MustCompile(`^expected one of (.*)$`), `say what to do: one of $1`},
}

// worded is what is wrong with a command line, in our words.
func worded(err error) string {
	text := err.Error()
	for _, w := range wordings {
		text = w.of.ReplaceAllString(text, w.is)
	}
	return text
}

// callPrefix matches what functions put before the errors that they return: their name, and
// the values they were called with.
var callPrefix = regexp.MustCompile(`\b[a-z]+\.(?:[A-Z]\w*\.)?[A-Z]\w*(?:\((?:"(?:[^"\\]|\\.)*"|[^()"])*\))?: `)

// withoutCalls is an error for people. Those who look for the cause in the program find
// the rest with LOG_LEVEL=debug.
func withoutCalls(err error) string { return callPrefix.ReplaceAllString(err.Error(), "") }
