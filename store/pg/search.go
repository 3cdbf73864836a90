package pg

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// WordsOf splits a search into words, which may occur in any order. A hyphen does not
// split: "jean-luc" is one word. A full stop at the end is dropped, as after an
// initial.
func WordsOf(query string) []string {
	words := []string{} // not nil: as JSON it is a list, too
	for _, word := range strings.FieldsFunc(query, separates) {
		if word = strings.TrimRight(word, ".…"); word != "" && !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	return words
}

func separates(r rune) bool {
	return unicode.IsSpace(r) || strings.ContainsRune(",;،؛，；﹐﹔､、", r)
}

// PatternsOf is SQL for an array of LIKE patterns that match the words in folded text.
// The longest comes first, as it matches least. A word that folds to nothing, such as
// a lone dash, is left out.
func PatternsOf(words string) string {
	return `ARRAY(
				SELECT '%' || replace(replace(replace(folded, '\', '\\'), '%', '\%'), '_', '\_') || '%'
				FROM (SELECT DISTINCT fold(word) AS folded FROM unnest(` + words + `::text[]) word) w
				WHERE folded <> ''
				ORDER BY length(folded) DESC, folded
			)`
}

var pair = regexp.MustCompile(`^%([a-z0-9]{2})%$`)

// AfterASCII is a regular expression for the two letters that a pattern is of, where they
// begin a text or follow a character of ASCII: trigrams find that. It is empty for other
// patterns.
func AfterASCII(pattern string) string {
	letters := pair.FindStringSubmatch(pattern)
	if letters == nil {
		return ""
	}
	return `(^|[\x01-\x7f])` + letters[1]
}
