package main

import (
	"context"

	"rollcall/store"
)

// derivation tells by which rules the customers are derived, where the schema is
// current.
func (e *env) derivation() (store.Derivation, error) {
	s, err := e.open()
	if err != nil {
		return store.Derivation{}, err
	}
	defer s.Close()
	return s.Derivation(e)
}

// progressOf tells how far deriving all again is.
func progressOf(d store.Derivation) string {
	text := "the workers derive every customer again by the rules of this version: "
	if d.StartedAt == nil {
		return text + "not begun yet"
	}
	text += number(d.Facts) + " facts so far"
	if d.LastError != nil {
		text += "; the last try failed: " + *d.LastError
	}
	return text
}

// checkDerivation looks whether the customers are derived by this program's rules.
func (d *doctor) checkDerivation(ctx context.Context) error {
	at, err := d.store.Derivation(ctx)
	if err != nil || !at.Pending() {
		return err
	}
	d.find(finding{Kind: "lists_outdated", Severity: warning, Count: 1, What: progressOf(at),
		Fix: []string{d.at("rollcall rebuild")}})
	return nil
}
