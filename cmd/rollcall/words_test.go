package main

import (
	"encoding/json"
	"go/scanner"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// TestWords: no text that users read has a word that CONTRIBUTING.md excludes.
func TestWords(t *testing.T) {
	excluded := excludedWords(t)
	for name, text := range readTexts(t) {
		found := excluded.FindAllString(text, -1)
		slices.Sort(found)
		if found = slices.Compact(found); len(found) > 0 {
			t.Errorf("%s has %q: CONTRIBUTING.md (Words) says what to write instead", name, found)
		}
	}
}

// excludedWords matches the words in the left column of the table of words.
func excludedWords(t *testing.T) *regexp.Regexp {
	t.Helper()
	_, section, _ := strings.Cut(readFile(t, "../../CONTRIBUTING.md"), "\n## Words\n")
	var words []string
	for _, row := range regexp.MustCompile(`(?m)^\| ([^|]+) \| [^|]+ \|$`).FindAllStringSubmatch(section, -1)[1:] {
		for word := range strings.SplitSeq(row[1], ", ") {
			words = append(words, strings.ReplaceAll(regexp.QuoteMeta(word), " ", `\s+`))
		}
	}
	if len(words) < 20 {
		t.Fatalf("CONTRIBUTING.md excludes only %q", words)
	}
	return regexp.MustCompile(`(?i)\b(` + strings.Join(words, "|") + `)\b`)
}

// readTexts are the texts that users read, by the names of their files, without
// what is for machines: markup, actions, code, addresses. Of Go they are the sentences
// that pages, the API and logs quote.
func readTexts(t *testing.T) map[string]string {
	t.Helper()
	const (
		markup   = `(?s)\{\{.*?\}\}|<style.*?</style>|<script.*?</script>|<[^>]*>`
		markdown = "(?ms)^```.*?^```$|`[^`\n]*`|\\]\\([^)]*\\)|<[^>\n]*>"
	)
	texts := map[string]string{"help": helpTexts(t)}
	for _, kind := range []struct{ pattern, machines string }{
		{"../../web/templates/*.html", markup},
		{"../../web/*/templates/*.html", markup},
		{"../../docs/*.md", markdown},
		{"../../docs/decisions/*.md", markdown},
		{"../../[A-Z]*.md", markdown},
		{"../../web/openapi.json", ""},
		{"../../web/*/openapi.json", ""},
	} {
		files, err := filepath.Glob(kind.pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text := readFile(t, file)
			if kind.machines == "" {
				text = descriptions(t, text)
			} else {
				text = regexp.MustCompile(kind.machines).ReplaceAllString(text, " ")
			}
			texts[filepath.Base(file)] = text
		}
	}
	for _, folder := range []string{"cmd/rollcall", "cmd/rollcall/internal/*", "facts", "history", "internal/*", "store/*",
		"watch", "web/*", "webhooks", "worker"} {
		files, err := filepath.Glob("../../" + folder + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if !strings.HasSuffix(file, "_test.go") {
				texts[strings.TrimPrefix(file, "../../")] = sentences(readFile(t, file))
			}
		}
	}
	delete(texts, "CONTRIBUTING.md")              // which lists the words
	delete(texts, "internal/embedded/account.go") // which names an account
	if len(texts) < 25 || texts["openapi.json"] == "" {
		t.Fatalf("only %d texts", len(texts))
	}
	return texts
}

// helpTexts are what the commands' help says.
func helpTexts(t *testing.T) string {
	t.Helper()
	var cli commandLine
	parser, err := kong.New(&cli, kong.Description(description), kong.ExplicitGroups(groups), kong.Vars{"data": "d"})
	if err != nil {
		t.Fatal(err)
	}
	var text []string
	var walk func(*kong.Node)
	walk = func(n *kong.Node) {
		text = append(text, n.Help, n.Detail)
		for _, f := range n.Flags {
			text = append(text, f.Help)
		}
		for _, p := range n.Positional {
			text = append(text, p.Help)
		}
		for _, child := range n.Children {
			walk(child)
		}
	}
	walk(parser.Model.Node)
	for _, g := range groups {
		text = append(text, g.Title, g.Description)
	}
	return strings.Join(text, "\n")
}

// sentences are the quoted texts of a Go file that have more than one word.
func sentences(source string) string {
	var all []string
	var s scanner.Scanner
	files := token.NewFileSet()
	s.Init(files.AddFile("", files.Base(), len(source)), []byte(source), nil, 0)
	for {
		_, kind, text := s.Scan()
		switch {
		case kind == token.EOF:
			return strings.Join(all, "\n")
		case kind == token.STRING && text[0] == '"' && strings.Contains(text, " "):
			all = append(all, text)
		}
	}
}

// descriptions are the texts of an API's description: descriptions and summaries.
func descriptions(t *testing.T, text string) string {
	t.Helper()
	var api any
	if err := json.Unmarshal([]byte(text), &api); err != nil {
		t.Fatal(err)
	}
	var all []string
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, item := range v {
				walk(item)
			}
		case map[string]any:
			for key, member := range v {
				if s, ok := member.(string); ok && (key == "description" || key == "summary" || key == "title") {
					all = append(all, s)
				}
				walk(member)
			}
		}
	}
	walk(api)
	return strings.Join(all, "\n")
}
