// Package finding says what a check found: one form for the doctor, the audits,
// the watches and the health page.
package finding

import (
	"regexp"
	"slices"
	"strings"
)

// Severity is how much a finding weighs.
type Severity string

// Severities, from good to bad.
const (
	OK      Severity = "ok"
	Note    Severity = "note"    // worth knowing
	Warning Severity = "warning" // a customer may be missing, or will be
	Problem Severity = "problem" // a customer is missing, most likely, or nothing works
)

// Rank orders severities: the worse, the higher.
func (s Severity) Rank() int {
	return slices.Index([]Severity{OK, Note, Warning, Problem}, s)
}

// Finding is one thing that a check found. Its JSON is for programs.
type Finding struct {
	Check    string    `json:"check"`   // the check's name
	Kind     string    `json:"kind"`    // what was found; empty: all is well
	Subject  string    `json:"subject"` // of the kind: a source, a reason, a store
	Severity Severity  `json:"severity"`
	What     string    `json:"what"`  // one line
	Means    string    `json:"means"` // the kind's meaning
	Count    int64     `json:"count"`
	Examples []Example `json:"examples"`
	Fix      []string  `json:"fix"` // commands, in order; what stands in <ANGLES> is for the operator to fill in
}

// Name is the kind and subject as one text, for example source_silent/stripe.
func (f Finding) Name() string { return strings.TrimSuffix(f.Kind+"/"+f.Subject, "/") }

// Example is one of the things that a finding is about.
type Example struct {
	Place string // the row or object; may be empty
	What  string
	Why   string // may be empty
}

// Texts are examples of one text each.
func Texts(texts []string) (all []Example) {
	for _, text := range texts {
		all = append(all, Example{What: text})
	}
	return all
}

func (e Example) String() string {
	return strings.Join(slices.DeleteFunc([]string{e.Place, e.What, e.Why}, func(s string) bool { return s == "" }), ": ")
}

// MarshalText writes an example as one text.
func (e Example) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (e *Example) UnmarshalText(text []byte) error {
	*e = Example{What: string(text)}
	return nil
}

// plain is a text that a shell takes as it is.
var plain = regexp.MustCompile(`^[A-Za-z0-9/.][A-Za-z0-9_.:@/-]*$`)

// Plain tells whether a text can stand in a command as it is.
func Plain(text string) bool { return plain.MatchString(text) }

// Kinds are kinds of findings in the order in which they are shown, each with its
// meaning.
type Kinds [][2]string

// Means is the meaning of a kind.
func (k Kinds) Means(name string) string {
	for _, kind := range k {
		if kind[0] == name {
			return kind[1]
		}
	}
	panic("no finding is called " + name)
}
