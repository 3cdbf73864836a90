package store

import "strings"

// Parts of pseudonyms.
const (
	anonymousPrefix = "erased-"         // begins all pseudonyms
	anonymousDomain = "@erased.invalid" // ends their addresses, which cannot exist (RFC 2606)
)

// Anonymous reports whether an address is that of an erased person.
func Anonymous(email string) bool { return strings.HasSuffix(email, anonymousDomain) }

func isPseudonym(name string) bool { return strings.HasPrefix(name, anonymousPrefix) }

// NotAnonymous is SQL for whether an address is that of a person who was not erased.
func NotAnonymous(email string) string { return email + ` NOT LIKE '%` + anonymousDomain + `'` }
