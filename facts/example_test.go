package facts_test

import (
	"fmt"

	"rollcall/facts"
)

// One mailbox has one spelling; what cannot be an address has none.
func ExampleEmail() {
	for _, address := range []string{"Ava@Example.COM", "Ava Lee <ava@example.com>", "mailto:ava@example.com",
		"not an address"} {
		fmt.Printf("%q\n", facts.Email(address))
	}
	// Output:
	// "ava@example.com"
	// "ava@example.com"
	// "ava@example.com"
	// ""
}
