package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"rollcall/internal/testing/clerkfake"
	"rollcall/internal/testing/stripefake"
)

// documents are the texts for those who run Rollcall.
func documents(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(names) < 5 {
		t.Fatal(names, err)
	}
	return append([]string{"../../README.md"}, names...)
}

// TestSettingsAreDocumented: docs/settings.md and .env.example have the settings as Config
// has them. `make docs` writes both.
func TestSettingsAreDocumented(t *testing.T) {
	holdText(t, "../../.env.example", regexp.MustCompile(`(?s)^.*$`), settingsText(nil))
	holdText(t, "../../docs/settings.md", regexp.MustCompile(`(?s)\n## .*$`), settingsTables())
	all := settings()
	if n := len(settingsOfModel()); n != len(all) {
		t.Errorf("%d settings are documented, of %d", n, len(all))
	}
	for _, of := range []map[string]string{examples, moreAbout} {
		for name := range of {
			if !slices.Contains(all, name) {
				t.Errorf("%s is no setting", name)
			}
		}
	}
}

// values are what an operator might put into .env.example. Stripe and Clerk are
// those of the test, which ask nobody outside.
func (o *outside) values() map[string]string {
	return map[string]string{
		"POSTGRES_PASSWORD": "postgrespassword0123456789", "REDIS_PASSWORD": "redispassword0123456789",
		"ADMIN_TOKEN":            "0123456789abcdef0123456789abcdef",
		"STRIPE_WEBHOOK_SECRETS": "whsec_stripe0123456789", "CLERK_WEBHOOK_SECRETS": "whsec_Y2xlcmtjbGVya2NsZXJrY2xlcms=",
		"PLATFORM_WEBHOOK_SECRETS": "whsec_cGxhdGZvcm1wbGF0Zm9ybXBsYXRmb3Jt",
		"CLERK_JWT_KEY":            "'" + strings.ReplaceAll(o.key, "\n", `\n`) + "'",
		"STRIPE_API_KEY":           stripefake.Key, "STRIPE_API_BASE": o.stripe.URL,
		"CLERK_SECRET_KEY": clerkfake.Key, "CLERK_API_BASE": o.clerk.URL,
	}
}

// fillIn writes a copy of .env.example that has every placeholder filled in.
func fillIn(t *testing.T, file string, values map[string]string) {
	t.Helper()
	lines := strings.Split(readFile(t, "../../.env.example"), "\n")
	for i, line := range lines {
		name, value, _ := strings.Cut(line, "=")
		if filled, ok := values[strings.TrimPrefix(name, "#")]; ok {
			lines[i] = strings.TrimPrefix(name, "#") + "=" + filled
		} else if line != "" && line[0] != '#' && (value == "" || strings.Contains(value, "…")) {
			t.Errorf("%s: nothing is known to fill into %q", file, line)
		}
	}
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
}
