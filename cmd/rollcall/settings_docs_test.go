package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

//go:generate env UPDATE_DOCS=1 go test . -run AreDocumented$ -count 1

// moreAbout are the documents that say more of a setting than its help.
var moreAbout = map[string]string{
	"DATABASE_URL":             "deploy.md",
	"REDIS_URL":                "scale.md",
	"CLERK_AUTHORIZED_PARTIES": "access.md#azp-where-a-session-was-begun",
	"CLERK_JWT_KEY":            "access.md",
	"RETAIN_PAYLOADS":          "erasure.md",
	"IMPORT_DIR":               "backfills.md#where-exports-are-read",
	"ALERT_WEBHOOK_URL":        "doctor.md",
	"ALLOWED_PRIVATE_NETWORKS": "security.md#urls-that-we-call",
	"METRICS_LISTEN":           "metrics.md",
}

// settingsTables are the tables of docs/settings.md, a section for each group.
func settingsTables() string {
	var text strings.Builder
	group := ""
	for _, s := range settingsOfModel() {
		if s.group != group {
			group = s.group
			fmt.Fprintf(&text, "\n## %s\n\n| variable | flag | default | |\n|---|---|---|---|\n", group)
		}
		standard := ""
		if s.standard != "" {
			standard = "`" + s.standard + "`"
			s.help = strings.Replace(s.help, " ("+s.standard+")", "", 1)
		}
		if more := moreAbout[s.variable]; more != "" {
			page, _, _ := strings.Cut(more, "#")
			s.help += " More: [" + page + "](" + more + ")"
		}
		row := fmt.Sprintf("| `%s` | `%s` | %s | %s |\n", s.variable, s.flag, standard, s.help)
		text.WriteString(strings.Replace(row, " |  | ", " | | ", 1))
	}
	return text.String()
}

// holdText compares part of a file with what it should be; with UPDATE_DOCS set, it
// writes it.
func holdText(t *testing.T, file string, part *regexp.Regexp, want string) {
	t.Helper()
	text := readFile(t, file)
	at := part.FindStringIndex(text)
	if at == nil {
		t.Fatalf("%s has no %s", file, part)
	}
	if text[at[0]:at[1]] == want {
		return
	}
	if os.Getenv("UPDATE_DOCS") == "" {
		t.Errorf("%s is not what the program has: run make docs", file)
		return
	}
	if err := os.WriteFile(file, []byte(text[:at[0]]+want+text[at[1]:]), 0o644); err != nil {
		t.Fatal(err)
	}
}
