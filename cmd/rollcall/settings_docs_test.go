package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

//go:generate env UPDATE_DOCS=1 go test . -run AreDocumented$ -count 1

// examples are what .env.example shows of settings. One that begins with # is
// commented out: it has a default, or not everyone needs it.
var examples = map[string]string{
	"DATABASE_URL":             "#postgres://rollcall:…@127.0.0.1/rollcall",
	"REDIS_URL":                "#redis://127.0.0.1:6379/0",
	"ROLLCALL_DATA":            "#/var/lib/rollcall",
	"LISTEN":                   "#127.0.0.1:8080",
	"ADMIN_TOKEN":              "",
	"CLERK_JWT_KEY":            `'-----BEGIN PUBLIC KEY-----\n…\n-----END PUBLIC KEY-----'`,
	"CLERK_ISSUER":             "https://clerk.example.com",
	"CLERK_AUTHORIZED_PARTIES": "https://example.com",
	"SIGN_IN_URL":              "https://example.com/sign-in",
	"PUBLIC_URL":               "#https://rollcall.example.com",
	"CUSTOMER_PICTURES":        "#1",
	"MONITORING_READ_ONLY":     "#1",
	"TRUSTED_PROXIES":          "#127.0.0.1/32",
	"STRIPE_WEBHOOK_SECRETS":   "whsec_…",
	"CLERK_WEBHOOK_SECRETS":    "whsec_…",
	"PLATFORM_WEBHOOK_SECRETS": "whsec_…",
	"METRICS_LISTEN":           "#127.0.0.1:9090",
	"STRIPE_MODE":              "#live",
	"RETAIN_PAYLOADS":          "#90d",
	"STRIPE_API_KEY":           "rk_live_…",
	"STRIPE_API_BASE":          "#https://api.stripe.com",
	"CLERK_SECRET_KEY":         "sk_live_…",
	"CLERK_API_BASE":           "#https://api.clerk.com/v1",
	"IMPORT_DIR":               "#/var/lib/rollcall/imports",
	"ALERT_WEBHOOK_URL":        "#https://hooks.example.com/rollcall",
	"ALERT_WEBHOOK_SECRET":     "#whsec_…",
	"ALLOWED_PRIVATE_NETWORKS": "#10.1.0.0/16",
}

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

// envHead begins .env.example: what Config does not have.
const envHead = `# Rollcall's settings. Copy this file to .env for Docker Compose, or to
# /etc/rollcall/env for systemd, and fill it in. Delete the lines of what you do not
# have: a variable set to nothing stops the start. Lines that are commented out show
# the default, or what not everyone needs. Written by "make docs" from
# cmd/rollcall/config.go; docs/settings.md has the same as tables.

# With Docker: the passwords of the two servers, from which docker-compose.yml makes
# their URLs. Letters and digits only: openssl rand -hex 24
POSTGRES_PASSWORD=
REDIS_PASSWORD=
`

// setting is a setting as users see it.
type setting struct{ variable, flag, standard, help, group string }

// settingsOfModel are the settings, in the order of Config.
func settingsOfModel(t *testing.T) (all []setting) {
	t.Helper()
	var cli commandLine
	for _, flag := range kong.Must(&cli, kong.ExplicitGroups(groups), kong.Vars{"data": "~/.local/share/rollcall"}).Model.Flags {
		if len(flag.Envs) > 0 {
			all = append(all, setting{flag.Envs[0], "--" + flag.Name, flag.Default, flag.Help, flag.Group.Title})
		}
	}
	return all
}

// settingsTables are the tables of docs/settings.md, a section for each group.
func settingsTables(t *testing.T) string {
	t.Helper()
	var text strings.Builder
	group := ""
	for _, s := range settingsOfModel(t) {
		if s.group != group {
			group = s.group
			title, _, _ := strings.Cut(group, " (")
			fmt.Fprintf(&text, "\n## %s\n\n| variable | flag | default | |\n|---|---|---|---|\n", strings.TrimSuffix(title, ":"))
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

// envExample is .env.example.
func envExample(t *testing.T) string {
	t.Helper()
	text, group := envHead, ""
	for _, s := range settingsOfModel(t) {
		if s.group != group {
			group = s.group
			title, _, _ := strings.Cut(group, " (")
			text += "\n# --- " + strings.TrimSuffix(title, ":") + "\n"
		}
		example, shown := examples[s.variable]
		if !shown {
			example = "#" + s.standard
		}
		text += "\n" + commented(s.help)
		if rest, out := strings.CutPrefix(example, "#"); out {
			text += "#" + s.variable + "=" + rest + "\n"
		} else {
			text += s.variable + "=" + example + "\n"
		}
	}
	return text
}

// commented is a text as a comment, wrapped.
func commented(text string) string {
	var lines []string
	line := "#"
	for _, word := range strings.Fields(text) {
		if len(line)+len(word) > 85 {
			lines, line = append(lines, line), "#"
		}
		line += " " + word
	}
	return strings.Join(append(lines, line), "\n") + "\n"
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
