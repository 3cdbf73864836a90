// Package prose finds what no text for people may have, whatever made it of parts.
package prose

import (
	"html"
	"regexp"
	"strings"
)

// marks are two ends of a sentence, one after the other: of a text that had its own, and of the
// template around it.
var marks = regexp.MustCompile(`[?!:;,]\.(?:\s|$)|[.!;,:]\?|[?!.][;,:](?:\s|$)|[^.]\.\.(?:\s|$)`)

// abbreviated end with a full stop of their own.
var abbreviated = regexp.MustCompile(`\b(?:e\.g|i\.e|etc|vs|a\.m|p\.m)\.`)

// one is a number of one with a verb or a noun of many; "mails of 1 store have" are many.
var one = regexp.MustCompile(`(?:^|\(|[^f] )1 (?:[a-z]+ ){0,2}?[a-z]+(?: (?:of type|of|from|in) \S+)*` +
	`(?: that| and)? (?:are|have|were|wait|do)\b|(?:^|[\s(])1 [a-z]{3,}[^sui]s\b`)

// Faults are the places of a text that read wrong: "missing?.", "1 event are", "1 events".
func Faults(text string) (all []string) {
	text = abbreviated.ReplaceAllString(text, "$$")
	return append(marks.FindAllString(text, -1), one.FindAllString(text, -1)...)
}

var (
	unread = regexp.MustCompile(`(?s)<(script|style|pre|textarea)\b.*?</(?:script|style|pre|textarea)>`)
	inline = regexp.MustCompile(`</?(?:a|b|i|em|strong|code|span|time|abbr|small|kbd)\b[^>]*>`)
	tags   = regexp.MustCompile(`<[^>]*>`)
)

// FaultsOfPage are those of the texts of a page.
func FaultsOfPage(page string) (all []string) {
	page = inline.ReplaceAllString(unread.ReplaceAllString(page, "\x00"), "")
	for _, text := range strings.Split(tags.ReplaceAllString(page, "\x00"), "\x00") {
		all = append(all, Faults(html.UnescapeString(strings.Join(strings.Fields(text), " ")))...)
	}
	return all
}
