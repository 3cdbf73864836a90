// Package finding defines what a check found, for the doctor, audits, watches and the
// health page.
package finding

import (
	"regexp"
	"slices"
	"strings"
)

// Severity is how serious a finding is.
type Severity string

// Severities, from good to bad.
const (
	OK      Severity = "ok"
	Note    Severity = "note"    // worth knowing
	Warning Severity = "warning" // a customer may be missing, now or later
	Problem Severity = "problem" // a customer is probably missing, or nothing works
)

// Rank orders severities, the worst last.
func (s Severity) Rank() int {
	return slices.Index([]Severity{OK, Note, Warning, Problem}, s)
}

// Finding is something that a check found. Its JSON is for programs.
type Finding struct {
	Check    string    `json:"check"`    // the check's name
	Kind     string    `json:"kind"`     // of finding; empty: nothing wrong
	Subject  string    `json:"subject"`  // what the kind is about: a source, a reason, a store
	Severity Severity  `json:"severity"` // the kind's, if a check leaves it empty
	What     string    `json:"what"`     // one line
	Means    string    `json:"means"`    // the kind's meaning
	Count    int64     `json:"count"`
	Examples []Example `json:"examples"`
	Fix      []string  `json:"fix"` // commands, in order; the operator fills in <ANGLES>
}

// Name is the kind and subject as one text, for example source_silent/stripe.
func (f Finding) Name() string { return strings.TrimSuffix(f.Kind+"/"+f.Subject, "/") }

// Example is one of the things that a finding is about.
type Example struct {
	Place string // the row or object; may be empty
	What  string
	Why   string // may be empty
}

// Texts makes an example of each text.
func Texts(texts []string) (all []Example) {
	for _, text := range texts {
		all = append(all, Example{What: text})
	}
	return all
}

func (e Example) String() string {
	return strings.Join(slices.DeleteFunc([]string{e.Place, e.What, e.Why}, func(s string) bool { return s == "" }), ": ")
}

// MarshalText writes an example as text.
func (e Example) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (e *Example) UnmarshalText(text []byte) error {
	*e = Example{What: string(text)}
	return nil
}

// plain matches text that needs no quotes in a shell.
var plain = regexp.MustCompile(`^[A-Za-z0-9/.][A-Za-z0-9_.:@/-]*$`)

// Plain tells whether text needs no quotes in a command.
func Plain(text string) bool { return plain.MatchString(text) }

// Kind is a kind of finding.
type Kind struct {
	Name     string
	Severity Severity // unless the finding has its own
	Means    string
}

// Kind is a kind of this severity.
func (s Severity) Kind(name, means string) Kind { return Kind{name, s, means} }

// Kinds are kinds of findings, in the order shown.
type Kinds []Kind

// Find returns a kind by its name; it panics on an unknown one.
func (k Kinds) Find(name string) Kind {
	i := slices.IndexFunc(k, func(kind Kind) bool { return kind.Name == name })
	if i < 0 {
		panic("no finding is called " + name)
	}
	return k[i]
}
