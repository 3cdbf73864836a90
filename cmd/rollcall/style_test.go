package main

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/golangci/misspell"
)

// TestSpelling: texts that users read have no common misspelling, and are in British English.
func TestSpelling(t *testing.T) {
	known := misspell.New()
	known.AddRuleList(misspell.DictBritish)
	known.RemoveRule([]string{"enrolls", "color", "analyze"}) // as the API, NO_COLOR and SQL spell them
	known.Compile()
	for name, text := range readTexts(t) {
		_, wrong := known.Replace(text)
		for _, w := range wrong {
			t.Errorf("%s: %q is spelled %q", name, w.Original, w.Corrected)
		}
	}
}

// TestNumbers: a percent sign follows its number directly, as in English.
func TestNumbers(t *testing.T) {
	apart := regexp.MustCompile(`\d[  ]%`)
	for name, text := range readTexts(t) {
		if found := apart.FindString(text); found != "" {
			t.Errorf("%s has %q", name, found)
		}
	}
}

// TestReadmeIsShort: README shows what one gets and where to read on; the rest is in docs.
func TestReadmeIsShort(t *testing.T) {
	if n := strings.Count(readFile(t, "../../README.md"), "\n"); n > 150 {
		t.Errorf("README.md has %d lines, of 150 at most", n)
	}
}

// longestSentence is how many words a sentence of the documents may have. Most should have 20.
const longestSentence = 35

// TestSentences: the documents have no sentence that must be read twice.
func TestSentences(t *testing.T) {
	decisions, err := filepath.Glob("../../docs/decisions/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Concat(documents(t), decisions) {
		for _, s := range proseOf(readFile(t, name)) {
			if n := len(regexp.MustCompile(`[\pL\pN'’_-]+`).FindAllString(s, -1)); n > longestSentence {
				t.Errorf("%s: %d words: %s", name, n, s)
			}
		}
	}
}

// proseOf are the sentences of a document, in which code counts as one word. Cells and items of
// lists are texts of their own.
func proseOf(text string) (all []string) {
	for _, c := range []struct{ machines, as string }{
		{"(?ms)^```.*?^```$", ""}, {"`[^`\n]*`", "X"}, {`\]\([^)]*\)`, "]"}, {"<[^>]*>", " "},
	} {
		text = regexp.MustCompile(c.machines).ReplaceAllString(text, c.as)
	}
	for _, part := range regexp.MustCompile(`\n\s*\n|\n\s*(?:[-*#]|\d+\.) |\|`).Split(text, -1) {
		part = strings.Join(strings.Fields(part), " ")
		part = regexp.MustCompile(`([.!?:;])\*{0,2} `).ReplaceAllString(part, "$1\n")
		all = append(all, strings.Split(part, "\n")...)
	}
	return all
}
