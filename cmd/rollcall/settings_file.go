package main

import (
	"reflect"
	"strings"

	"github.com/alecthomas/kong"
)

// This file writes all settings as a file: .env.example, and what `init` makes.

// examples are what the file shows of settings that are not set.
var examples = map[string]string{
	"DATABASE_URL":             "postgres://rollcall:…@127.0.0.1/rollcall",
	"REDIS_URL":                "redis://127.0.0.1:6379/0",
	"ROLLCALL_DATA":            "/var/lib/rollcall",
	"LISTEN":                   defaultListen,
	"ADMIN_TOKEN":              "…",
	"CLERK_JWT_KEY":            `'-----BEGIN PUBLIC KEY-----\n…\n-----END PUBLIC KEY-----'`,
	"CLERK_ISSUER":             "https://clerk.example.com",
	"CLERK_AUTHORIZED_PARTIES": "https://example.com",
	"SIGN_IN_URL":              "https://example.com/sign-in",
	"PUBLIC_URL":               "https://rollcall.example.com",
	"CUSTOMER_PICTURES":        "1",
	"MONITORING_READ_ONLY":     "1",
	"TRUSTED_PROXIES":          "127.0.0.1/32",
	"STRIPE_WEBHOOK_SECRETS":   "whsec_…",
	"CLERK_WEBHOOK_SECRETS":    "whsec_…",
	"PLATFORM_WEBHOOK_SECRETS": "whsec_…",
	"RESEND_WEBHOOK_SECRETS":   "whsec_…",
	"POSTMARK_WEBHOOK_SECRETS": "…",
	"SES_SNS_TOPICS":           "arn:aws:sns:eu-central-1:123456789012:mail",
	"MAILGUN_WEBHOOK_KEYS":     "key-…",
	"METRICS_LISTEN":           "127.0.0.1:9090",
	"STRIPE_MODE":              "live",
	"RETAIN_PAYLOADS":          "90d",
	"STRIPE_API_KEY":           "rk_live_…",
	"STRIPE_API_BASE":          "https://api.stripe.com",
	"CLERK_SECRET_KEY":         "sk_live_…",
	"CLERK_API_BASE":           "https://api.clerk.com/v1",
	"IMPORT_DIR":               "/var/lib/rollcall/imports",
	"ROLLCALL_COLOR":           "never",
	"ALERT_WEBHOOK_URL":        "https://hooks.example.com/rollcall",
	"ALERT_WEBHOOK_SECRET":     "whsec_…",
	"ALLOWED_PRIVATE_NETWORKS": "10.1.0.0/16",
	"MAIL_SMTP_URL":            "smtp://user:…@smtp.example.com:587",
	"RESEND_API_KEY":           "re_…",
	"RESEND_API_BASE":          "https://api.resend.com",
	"MAIL_FROM":                "mail@example.com",
	"MAIL_DRY":                 "1",
	"MAIL_ALLOWED":             "@example.com",
}

// composeOnly are the variables that docker-compose.yml makes the URLs of.
var composeOnly = []string{"POSTGRES_PASSWORD", "REDIS_PASSWORD"}

const settingsHead = dotEnvHead + `. "rollcall init" writes this file with new secrets; or copy it to
# .env, or to /etc/rollcall/env for systemd. Fill in what you have and take away its #.
# Leave the # before all others: they show an example, or the default. Commands read .env
# in the folder where they run; the environment and flags take precedence.

# Only with Docker: the passwords of the two servers, from which docker-compose.yml makes
# their URLs. Letters and digits only: openssl rand -hex 24
`

// settings are the environment variables that there are.
func settings() (names []string) {
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		if name := field.Tag.Get("env"); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// setting is a setting as users see it.
type setting struct{ variable, flag, standard, help, group string }

// settingsOfModel are the settings, in the order of Config.
func settingsOfModel() (all []setting) {
	vars := kong.Vars{"data": "~/.local/share/rollcall"} // the same on every machine
	for _, flag := range kong.Must(&commandLine{}, kong.ExplicitGroups(groups), vars).Model.Flags {
		if len(flag.Envs) > 0 {
			all = append(all, setting{flag.Envs[0], "--" + flag.Name, flag.Default, flag.Help, flag.Group.Title})
		}
	}
	return all
}

// settingsText is the file with these values; the other settings are commented out.
func settingsText(values map[string]string) string {
	text, group := settingsHead, ""
	for _, name := range composeOnly {
		text += settingLine(name, "…", values)
	}
	for _, s := range settingsOfModel() {
		if s.group != group {
			group = s.group
			text += "\n# --- " + group + "\n"
		}
		example, shown := examples[s.variable]
		if !shown {
			example = s.standard
		}
		text += "\n" + commented(s.help) + settingLine(s.variable, example, values)
	}
	return text
}

func settingLine(name, example string, values map[string]string) string {
	if value, set := values[name]; set {
		return name + "=" + inFile(value) + "\n"
	}
	return "#" + name + "=" + example + "\n"
}

// inFile writes a value so that a shell, systemd, Docker Compose and dotEnv read the same. None of
// them can have ' inside of '…'.
func inFile(value string) string {
	value = strings.ReplaceAll(value, "\n", `\n`)
	if quote(value) == value {
		return value
	}
	return "'" + value + "'"
}

// commented is a text as a comment, wrapped.
func commented(text string) string {
	return "# " + strings.Join(wrap(text, 84), "\n# ") + "\n"
}
