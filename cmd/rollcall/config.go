package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"rollcall/internal/moment"
)

// Config holds all settings. Each field is a flag and an environment variable; nothing
// else reads either. A nil pointer is a variable that is not set, which differs from an
// empty one.
type Config struct {
	// DatabaseURL says where Postgres is: postgres://user:password@host/database,
	// several hosts with ?target_session_attrs=read-write, or PgBouncer.
	DatabaseURL *string `name:"database-url" env:"DATABASE_URL" group:"servers" placeholder:"URL" help:"Postgres, as postgres://user:password@host/database. Without it: that of the dev or demo running on --data."`

	// RedisURL says where Redis is: redis://, redis-sentinel://host,host/master,
	// redis-cluster://host,host, or a comma-separated list of a cluster's nodes;
	// rediss for TLS. It must run with maxmemory-policy noeviction.
	RedisURL *string `name:"redis-url" env:"REDIS_URL" group:"servers" placeholder:"URL" help:"Redis, as redis://:password@host; also redis-sentinel://, redis-cluster://, or a comma-separated list for a cluster. Without it: that of the dev or demo running on --data."`

	// Data is the folder with the private servers of dev and demo.
	Data string `name:"data" env:"ROLLCALL_DATA" group:"servers" placeholder:"DIR" default:"${data}" help:"Folder of the private servers of dev and demo (${default})."`

	// Listen is the address of serve, dev and demo.
	Listen *string `name:"listen" env:"LISTEN" group:"web" placeholder:"ADDR" help:"Address to listen on (127.0.0.1:8080). Port 0 picks a free one."`

	// DrainDelay is how long serve still accepts requests after SIGTERM, while /readyz
	// answers 503. It should be longer than the load balancer takes to notice.
	DrainDelay time.Duration `name:"drain-delay" env:"DRAIN_DELAY" group:"web" placeholder:"DURATION" default:"5s" help:"How long serve still accepts requests after SIGTERM (${default}). Meanwhile /readyz answers 503, so that load balancers stop sending them."`

	// AdminToken opens everything: all stores' lists, the inbox, /monitoring.
	// At least 16 characters; `openssl rand -hex 32` makes a good one.
	AdminToken *string `name:"admin-token" env:"ADMIN_TOKEN" group:"web" placeholder:"TOKEN" help:"Gives access to the pages and the API of every store, and to /monitoring. At least 16 characters; generate one with: openssl rand -hex 32."`

	// ClerkJWTKey is the public key (PEM) of the Clerk instance. Creators who are signed
	// in with Clerk see the stores that they own or are members of. Without it, Rollcall
	// reads the keys from Clerk's API, if CLERK_SECRET_KEY is set.
	ClerkJWTKey *string `name:"clerk-jwt-key" env:"CLERK_JWT_KEY" group:"web" placeholder:"PEM" help:"Public key of the Clerk instance: creators sign in with their Clerk session. \\n may stand for its line ends. Without it: the keys from Clerk's API, with CLERK_SECRET_KEY."`

	// ClerkIssuer is the required "iss" of the tokens, the Frontend API URL of the
	// instance; without it, any URL that looks like one.
	ClerkIssuer *string `name:"clerk-issuer" env:"CLERK_ISSUER" group:"web" placeholder:"URL" help:"Frontend API URL of the Clerk instance. Sessions of other instances are rejected."`

	// ClerkParties are the origins where creators sign in. Rollcall rejects sessions of
	// another application on the same Clerk instance, or of a page on another
	// subdomain. A cookie without an origin is accepted.
	ClerkParties *string `name:"clerk-authorized-parties" env:"CLERK_AUTHORIZED_PARTIES" group:"web" placeholder:"LIST" help:"Origins (https://app.example.com) whose Clerk sessions are accepted, comma-separated. Without it: all."`

	// SignInURL is where creators sign in. Pages that need a sign-in link to it, with
	// their own address as redirect_url.
	SignInURL *string `name:"sign-in-url" env:"SIGN_IN_URL" group:"web" placeholder:"URL" help:"Where creators sign in: pages link to it, with redirect_url as the way back."`

	// PublicURL is the public address of the site. With https, cookies are always
	// Secure, whatever a proxy reports.
	PublicURL *string `name:"public-url" env:"PUBLIC_URL" group:"web" placeholder:"URL" help:"Public address of the site, for example https://rollcall.example.com. With https, cookies are always Secure. Without it, the proxies in TRUSTED_PROXIES report the scheme."`

	// CustomerPictures shows customers' pictures on the pages. Browsers load them from
	// Clerk's servers, so Clerk learns which customers a visitor views.
	CustomerPictures bool `name:"customer-pictures" env:"CUSTOMER_PICTURES" group:"web" help:"Show customers' pictures, which browsers load from Clerk's servers, instead of their initials."`

	// MonitoringReadOnly makes /monitoring read-only: no one pauses a queue or deletes
	// a job there.
	MonitoringReadOnly bool `name:"monitoring-read-only" env:"MONITORING_READ_ONLY" group:"web" help:"Make /monitoring read-only."`

	// TrustedProxies are the networks of the proxies in front. Rollcall ignores the headers
	// of other proxies: all their clients then share one address and one limit of wrong
	// tokens, and appear to use http.
	TrustedProxies *string `name:"trusted-proxies" env:"TRUSTED_PROXIES" group:"web" placeholder:"LIST" help:"Networks (10.0.0.0/8) of proxies whose X-Forwarded-For and X-Forwarded-Proto are trusted, comma-separated."`

	// StripeSecrets are the signing secrets of the Stripe endpoints, separated
	// by commas: the platform's own, the Connect endpoint's, and while one is
	// being rotated its successor.
	StripeSecrets *string `name:"stripe-webhook-secrets" env:"STRIPE_WEBHOOK_SECRETS" group:"webhooks" placeholder:"LIST" help:"Signing secrets (whsec_…) of the Stripe endpoints, comma-separated: the account's and the Connect one."`

	// ClerkSecrets are the signing secrets of the Clerk endpoint.
	ClerkSecrets *string `name:"clerk-webhook-secrets" env:"CLERK_WEBHOOK_SECRETS" group:"webhooks" placeholder:"LIST" help:"Signing secrets (whsec_…) of the Clerk endpoint, comma-separated."`

	// PlatformSecrets sign the platform's own events.
	PlatformSecrets *string `name:"platform-webhook-secrets" env:"PLATFORM_WEBHOOK_SECRETS" group:"webhooks" placeholder:"LIST" help:"Signing secrets of the platform's own events, comma-separated: whsec_ and 24 or more random bytes in base64."`

	// ResendSecrets are the signing secrets of Resend's webhook, which says what became of mails.
	ResendSecrets *string `name:"resend-webhook-secrets" env:"RESEND_WEBHOOK_SECRETS" group:"webhooks" placeholder:"LIST" help:"Signing secrets (whsec_…) of Resend's webhook, comma-separated."`

	// PostmarkSecrets are passwords that Postmark's webhook sends: by basic auth, or in the
	// header X-Webhook-Secret.
	PostmarkSecrets *string `name:"postmark-webhook-secrets" env:"POSTMARK_WEBHOOK_SECRETS" group:"webhooks" placeholder:"LIST" help:"Passwords that Postmark's webhook sends, by basic auth or as X-Webhook-Secret, comma-separated. At least 16 characters; generate one with: openssl rand -hex 32."`

	// SESTopics are the topics of SNS to which SES publishes what became of mails.
	SESTopics *string `name:"ses-sns-topics" env:"SES_SNS_TOPICS" group:"webhooks" placeholder:"LIST" help:"ARNs of the SNS topics to which SES publishes, comma-separated. Their subscriptions are confirmed, and no others."`

	// MailgunKeys are the HTTP webhook signing keys of the Mailgun account.
	MailgunKeys *string `name:"mailgun-webhook-keys" env:"MAILGUN_WEBHOOK_KEYS" group:"webhooks" placeholder:"LIST" help:"HTTP webhook signing keys of the Mailgun account, comma-separated."`

	// MetricsListen is the address for /metrics and /healthz. work has no other address.
	// On LISTEN, which may be public, serve, dev and demo answer /metrics only to operators.
	MetricsListen *string `name:"metrics-listen" env:"METRICS_LISTEN" group:"watch" placeholder:"ADDR" help:"Separate address for /metrics and /healthz, for example 127.0.0.1:9090. serve also answers /metrics on --listen, but only to operators; work has no other address."`

	// PlatformProductTypes are the product types (metadata productType or plan,
	// or Stripe price and product ids) that the platform sells to its creators.
	// Their buyers are no store's customers.
	PlatformProductTypes string `name:"platform-product-types" env:"PLATFORM_PRODUCT_TYPES" group:"rules" placeholder:"LIST" default:"ppr_pro,creator_plan,credit_package" help:"Product types of the platform's own sales (${default}). Their buyers are no store's customers."`

	// StripeMode selects which Stripe events count. A live Connect endpoint also receives
	// test events, which anyone with a connected account can cause for free.
	StripeMode *string `name:"stripe-mode" env:"STRIPE_MODE" group:"rules" placeholder:"MODE" help:"Which Stripe events count: live, test or any (live; in dev and demo, any). Others are stored and marked ignored."`

	// RetainPayloads is how long to keep the payloads of applied and ignored events. The
	// row stays, so that duplicates are still recognised; but it cannot be applied again.
	RetainPayloads *string `name:"retain-payloads" env:"RETAIN_PAYLOADS" group:"keep" placeholder:"SPAN" help:"How long to keep payloads of applied and ignored events, for example 90d; the row stays. Without it: forever."`

	// StripeAPIKey reads history from Stripe: sk_…, or better a restricted key that may
	// only read, rk_….
	StripeAPIKey *string `name:"stripe-api-key" env:"STRIPE_API_KEY" group:"history" placeholder:"KEY" help:"Stripe API key (sk_… or rk_…; a read-only key is enough), for work: backfills, and the hourly search for events that never arrived."`

	// StripeAPIBase replaces the address of Stripe's API.
	StripeAPIBase *string `name:"stripe-api-base" env:"STRIPE_API_BASE" group:"history" placeholder:"URL" help:"Address of Stripe's API, if not https://api.stripe.com."`

	// ClerkSecretKey reads users from Clerk and, if serve has no CLERK_JWT_KEY, the keys
	// of its sessions.
	ClerkSecretKey *string `name:"clerk-secret-key" env:"CLERK_SECRET_KEY" group:"history" placeholder:"KEY" help:"Clerk secret key (sk_…), for work: backfills. For serve: instead of CLERK_JWT_KEY."`

	// ClerkAPIBase replaces the address of Clerk's API.
	ClerkAPIBase *string `name:"clerk-api-base" env:"CLERK_API_BASE" group:"history" placeholder:"URL" help:"Address of Clerk's API, if not https://api.clerk.com/v1."`

	// ImportDir is the only folder that Convex exports are read from. Pages and the API
	// name files in it; without it, only the command line can name files.
	ImportDir *string `name:"import-dir" env:"IMPORT_DIR" group:"imports" placeholder:"DIR" help:"The only folder that Convex exports are read from; set it for serve and work. Without it, only 'backfill start convex FILE' can name a file."`

	// AlertURL receives alerts about silent or rejected sources and failing events
	// (docs/doctor.md).
	AlertURL *string `name:"alert-webhook-url" env:"ALERT_WEBHOOK_URL" group:"alerts" placeholder:"URL" help:"Receives a signed POST when a watch changes: a source falls silent or is rejected, events fail, or everything works again."`

	// AlertSecret signs the alerts, as in Standard Webhooks.
	AlertSecret *string `name:"alert-webhook-secret" env:"ALERT_WEBHOOK_SECRET" group:"alerts" placeholder:"SECRET" help:"Signing secret for ALERT_WEBHOOK_URL: whsec_ and 24 or more random bytes in base64."`

	// AllowedNetworks are the private networks that requests to configured URLs may
	// reach. Without it they reach only public addresses (docs/security.md).
	AllowedNetworks *string `name:"allowed-private-networks" env:"ALLOWED_PRIVATE_NETWORKS" group:"alerts" placeholder:"LIST" help:"Private networks (10.1.0.0/16) that ALERT_WEBHOOK_URL may lead to, comma-separated. Without it: only public addresses."`

	// MailSMTP is the server that mails go to, see mail.NewSMTP.
	MailSMTP *string `name:"mail-smtp-url" env:"MAIL_SMTP_URL" group:"mail" placeholder:"URL" help:"Mail server, as smtp://user:password@smtp.example.com:587 or smtps://…:465. With ?tls=off after smtp:// mail goes in clear, as to a server on this machine. Without it and RESEND_API_KEY, nothing is sent. Mail needs PUBLIC_URL too."`

	// ResendKey sends by the API of resend.com, instead of a server.
	ResendKey *string `name:"resend-api-key" env:"RESEND_API_KEY" group:"mail" placeholder:"KEY" help:"Resend API key (re_…): mail goes by its API instead of a mail server."`

	// ResendBase replaces the address of Resend's API.
	ResendBase *string `name:"resend-api-base" env:"RESEND_API_BASE" group:"mail" placeholder:"URL" help:"Address of Resend's API, if not https://api.resend.com."`

	// MailFrom is the sender of all mails, of a domain with SPF, DKIM and DMARC. Before it
	// stands the name of the store; answers go to the store's own address.
	MailFrom *string `name:"mail-from" env:"MAIL_FROM" group:"mail" placeholder:"ADDRESS" help:"Address that all mail comes from, for example mail@example.com, of a domain that the server may send for. The store's name stands before it."`

	// MailDry keeps mails in the mailbox instead of sending them, as a copy of production must.
	MailDry bool `name:"mail-dry" env:"MAIL_DRY" group:"mail" help:"Keep mails in the mailbox page instead of sending them, as on a copy of production. dev and demo always do."`

	// MailAllowed are the only recipients: addresses, and domains as @example.com.
	MailAllowed *string `name:"mail-allowed" env:"MAIL_ALLOWED" group:"mail" placeholder:"LIST" help:"The only recipients that mail goes to: addresses, and domains as @example.com, comma-separated. Without it: all."`

	// MailRate is the most mails that one worker sends in a second.
	MailRate float64 `name:"mail-rate" env:"MAIL_RATE" group:"mail" placeholder:"NUMBER" default:"0" help:"Most mails a second that one worker sends. 0: any number, but 2 by Resend's API."`

	// MailCap is the most marketing mails to an address in 7 days, of all stores.
	MailCap int `name:"mail-cap-all-stores" env:"MAIL_CAP_ALL_STORES" group:"limits" placeholder:"NUMBER" default:"0" help:"Most marketing mails that all stores together send to an address within 7 days. 0: any number. Set the same for serve and work, so that previews say what workers do."`

	// Color says whether results are coloured. NO_COLOR (https://no-color.org) holds, too.
	Color string `name:"color" env:"ROLLCALL_COLOR" group:"output" placeholder:"WHEN" default:"auto" help:"Colour results: auto (on a terminal, unless NO_COLOR is set), always or never (${default})."`

	// LogLevel is the lowest level that is logged, to stderr.
	LogLevel string `name:"log-level" env:"LOG_LEVEL" group:"logs" placeholder:"LEVEL" default:"info" help:"Lowest level to log, to stderr: debug, info, warn or error (${default})."`

	// LogFormat is text for people, json for machines.
	LogFormat string `name:"log-format" env:"LOG_FORMAT" group:"logs" placeholder:"FORMAT" default:"text" help:"Log format: text or json (${default})."`
}

var groups = []kong.Group{
	{Key: "servers", Title: "Servers"},
	{Key: "web", Title: "Web"},
	{Key: "webhooks", Title: "Webhooks"},
	{Key: "history", Title: "History"},
	{Key: "imports", Title: "Imports"},
	{Key: "rules", Title: "What counts"},
	{Key: "keep", Title: "Retention"},
	{Key: "alerts", Title: "Alerts"},
	{Key: "mail", Title: "Mail"},
	{Key: "limits", Title: "Limits of mail"},
	{Key: "watch", Title: "Monitoring"},
	{Key: "output", Title: "Output"},
	{Key: "logs", Title: "Logs"},
}

// groupsOf are the groups of settings that each command uses; others use all.
var groupsOf = map[string][]string{
	"serve":      {"servers", "web", "webhooks", "imports", "rules", "limits", "watch", "logs"},
	"work":       {"servers", "history", "imports", "rules", "keep", "alerts", "mail", "limits", "watch", "logs"},
	"migrate":    {"servers"},
	"events":     {"servers", "output"}, // send takes PLATFORM_WEBHOOK_SECRETS and LISTEN as well
	"backfill":   {"servers"},           // the workers read the history, with their keys
	"audit":      {"servers", "history", "rules"},
	"doctor":     {"servers", "webhooks", "web", "history", "rules", "alerts", "output"},
	"erase":      {"servers", "rules"},
	"rebuild":    {"servers", "rules"},
	"stripe":     {"history"},
	"health":     {},
	"config":     {"output"},
	"stores":     {"servers"},
	"customers":  {"servers"},
	"mail":       {"servers", "limits"},
	"completion": {},
	"man":        {},
	"init":       {"servers", "web", "webhooks", "history"},
	"token":      {"servers"},
	"version":    {},
}

const (
	defaultListen = "127.0.0.1:8080"
	minToken      = 16 // characters of ADMIN_TOKEN
)

// valid names all that is wrong with the settings that a command uses.
func (c *Config) valid(file settingsFile, command string) error {
	errs := []error{file.problem, c.checkServers(), c.check()}
	if slices.Contains([]string{"serve", "dev", "demo", "init"}, command) {
		errs = append(errs, c.checkWeb())
	}
	wrong := problemsOf(errs...)
	switch len(wrong) {
	case 0:
		return nil
	case 1:
		return errors.New(wrong[0])
	}
	return fmt.Errorf("%d settings are not valid:\n  %s", len(wrong), strings.Join(wrong, "\n  "))
}

// check refuses what is malformed, by the variable's name and never a secret's
// value. What is missing is for the commands that need it to say.
func (c *Config) check() error {
	return errors.Join(
		c.checkPlaceholders(),
		notEmpty("DATABASE_URL", c.DatabaseURL),
		notEmpty("REDIS_URL", c.RedisURL),
		checkKey("STRIPE_API_KEY", c.StripeAPIKey, "sk_", "rk_"),
		checkKey("CLERK_SECRET_KEY", c.ClerkSecretKey, "sk_"),
		checkBase("STRIPE_API_BASE", c.StripeAPIBase),
		checkBase("CLERK_API_BASE", c.ClerkAPIBase),
		checkListen("METRICS_LISTEN", c.MetricsListen, "127.0.0.1:9090"),
		c.checkImportDir(),
		c.checkAlert(),
		c.checkMail(),
		oneOf("STRIPE_MODE", c.stripeMode(), "live", "test", "any"),
		checkSpan("RETAIN_PAYLOADS", c.RetainPayloads),
		oneOf("ROLLCALL_COLOR", c.Color, "auto", "always", "never"),
		oneOf("LOG_LEVEL", c.LogLevel, "debug", "info", "warn", "error"),
		oneOf("LOG_FORMAT", c.LogFormat, "text", "json"))
}

// checkWeb refuses what is malformed of the settings of those who listen.
func (c *Config) checkWeb() error {
	listen := c.listen()
	var negative error
	if c.DrainDelay < 0 {
		negative = fmt.Errorf("DRAIN_DELAY is %v: it must not be negative", c.DrainDelay)
	}
	_, err := c.secrets()
	return errors.Join(checkListen("LISTEN", &listen, defaultListen), negative, err, c.checkAccess())
}

// checkListen refuses what cannot be listened on.
func checkListen(name string, address *string, example string) error {
	if address == nil {
		return nil
	}
	if _, _, err := net.SplitHostPort(*address); err != nil {
		return fmt.Errorf("%s is %q: write host:port, as %s", name, *address, example)
	}
	return nil
}

func notEmpty(name string, value *string) error {
	if value != nil && strings.TrimSpace(*value) == "" {
		return fmt.Errorf("%s is empty: set it to something, or not at all", name)
	}
	return nil
}

// checkKey refuses what cannot be a key of an API: most often one of another kind.
func checkKey(name string, key *string, prefixes ...string) error {
	if err := notEmpty(name, key); err != nil || key == nil {
		return err
	}
	known := slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(*key, p) && len(*key) > len(p) })
	if !known || strings.ContainsAny(*key, " \t\r\n") {
		return fmt.Errorf("%s is no such key: it must begin with %s and have no spaces", name, strings.Join(prefixes, " or "))
	}
	return nil
}

// checkBase refuses what cannot be the address of an API.
func checkBase(name string, base *string) error {
	if err := notEmpty(name, base); err != nil || base == nil {
		return err
	}
	u, err := url.Parse(*base)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return fmt.Errorf("%s must be the URL of an API, as http://127.0.0.1:12111", name)
	}
	return nil
}

// checkSpan refuses what cannot be how long something is kept.
func checkSpan(name string, span *string) error {
	if err := notEmpty(name, span); err != nil || span == nil {
		return err
	}
	if _, ok := moment.ParseSpan(*span); !ok {
		return fmt.Errorf("%s is %q: write how long, as 90d or 36h", name, *span)
	}
	return nil
}

// retain is how long payloads are kept; 0 is for good.
func (c *Config) retain() time.Duration {
	span, _ := moment.ParseSpan(given(c.RetainPayloads)) // checked
	return span
}

func oneOf(name, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return fmt.Errorf("%s is %q: it must be one of %s", name, value, strings.Join(allowed, ", "))
}

func checkToken(token *string) error {
	if token == nil {
		return nil
	}
	if len(*token) < minToken || strings.ContainsAny(*token, " \t\r\n") {
		return fmt.Errorf("ADMIN_TOKEN must be %d characters or more, without spaces; `openssl rand -hex 32` makes one",
			minToken)
	}
	return nil
}

// given is the value of a variable, or "" if it is not set.
func given(value *string) string {
	if value == nil {
		return ""
	}
	return *value
}

func (c *Config) listen() string {
	if c.Listen == nil {
		return defaultListen
	}
	return *c.Listen
}

func (c *Config) platformTypes() []string {
	return strings.FieldsFunc(c.PlatformProductTypes, func(r rune) bool { return r == ',' || r == ' ' })
}

// defaultData is where dev and demo keep their data unless told otherwise:
// $XDG_DATA_HOME/rollcall, else ~/.local/share/rollcall, else .rollcall here.
func defaultData() string {
	if dir := os.Getenv("XDG_DATA_HOME"); strings.HasPrefix(dir, "/") {
		return dir + "/rollcall"
	}
	if home, err := os.UserHomeDir(); err == nil {
		return home + "/.local/share/rollcall"
	}
	return ".rollcall"
}
