package main

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"rollcall/internal/testing/clerkfake"
	"rollcall/internal/testing/stripefake"
)

// composeOnly are the variables that docker-compose.yml makes the URLs of.
var composeOnly = []string{"POSTGRES_PASSWORD", "REDIS_PASSWORD"}

// settings are the environment variables that there are.
func settings() (names []string) {
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		if name := field.Tag.Get("env"); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// documents are the texts for those who run Rollcall.
func documents(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(names) < 5 {
		t.Fatal(names, err)
	}
	return append([]string{"../../README.md"}, names...)
}

// TestSettingsAreDocumented: .env.example shows every setting and nothing else,
// and some text says what each is for.
func TestSettingsAreDocumented(t *testing.T) {
	var examples []string
	for _, m := range regexp.MustCompile(`(?m)^#?([A-Z_]+)=`).FindAllStringSubmatch(readFile(t, "../../.env.example"), -1) {
		examples = append(examples, m[1])
	}
	var texts strings.Builder
	for _, name := range documents(t) {
		texts.WriteString(readFile(t, name))
	}
	all := settings()
	for _, name := range all {
		if !slices.Contains(examples, name) {
			t.Errorf("%s is not in .env.example", name)
		}
		if !strings.Contains(texts.String(), "`"+name+"`") {
			t.Errorf("%s is in no text", name)
		}
	}
	for i, name := range examples {
		if !slices.Contains(all, name) && !slices.Contains(composeOnly, name) {
			t.Errorf("%s is in .env.example, and no setting", name)
		}
		if slices.Contains(examples[:i], name) {
			t.Errorf("%s is in .env.example twice", name)
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
