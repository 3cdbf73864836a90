package pg

import (
	"slices"
	"strings"
	"unicode"
)

// WordsOf are the words of a search, each of which must be found, in any order.
// Hyphens do not separate: "jean-luc" is sought as it stands. A full stop at the
// end is that of an initial or of a sentence.
func WordsOf(query string) (words []string) {
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

// PatternsOf is the SQL of an array of LIKE patterns that find words in a folded
// text, the longest first: fewest have that. A word of which folding leaves
// nothing, as of a lone dash, is none.
func PatternsOf(words string) string {
	return `ARRAY(
				SELECT '%' || replace(replace(replace(folded, '\', '\\'), '%', '\%'), '_', '\_') || '%'
				FROM (SELECT DISTINCT fold(word) AS folded FROM unnest(` + words + `::text[]) word) w
				WHERE folded <> ''
				ORDER BY length(folded) DESC, folded
			)`
}
