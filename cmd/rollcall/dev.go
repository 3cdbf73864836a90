package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"rollcall/internal/embedded"
	"rollcall/jobs"
	"rollcall/migrations"
	"rollcall/web/access"
)

type devCmd struct{}

// Help is shown below the usage.
func (devCmd) Help() string {
	return `Starts a private Postgres and Redis (from the programs installed here) with their data in --data, migrates, ` +
		`and serves and works in this one process. Secrets and an ADMIN_TOKEN are generated once and stored in the ` +
		`data folder, unless the environment or .env has them; DATABASE_URL and REDIS_URL, if set, are used instead of the ` +
		`private servers. A private server that dies is started again; data that Redis cannot start with is moved ` +
		`aside, and workers enqueue pending work again. Other commands find the servers by --data. Ctrl-C stops ` +
		`it; the data stays.`
}

func (devCmd) Run(e *env) error {
	d, err := e.startDev(e.logger(e.err), nil)
	if err != nil {
		return err
	}
	d.describe(e.out, "")
	return d.wait(e)
}

// dev is everything in one process: site, worker, and mostly the servers.
type dev struct {
	env     *env
	log     *slog.Logger
	servers *embedded.Servers // nil if both URLs were given
	at      where             // the servers
	url     string            // of the pages
	signIn  string
	metrics string       // where they are
	atEnd   func() error // of a playground
	stop    context.CancelFunc
	ended   chan error
}

// where is what a dev works on.
type where struct{ database, redis string }

// startDev starts everything. prepare, if not nil, chooses (and empties) other
// places on the servers than the first ones, and returns what ends them.
func (e *env) startDev(log *slog.Logger, prepare func(where) (where, func() error, error)) (_ *dev, err error) {
	e.MailDry = true // what is tried here reaches no one
	if e.StripeMode == nil {
		e.StripeMode = new("any") // developers send test events
	}
	e.file.tell(log)
	e.warnOfUnusable(log)
	l, err := bind("LISTEN", "--listen", e.listen()) // first: it is quick, and the likeliest to fail
	if err != nil {
		return nil, err
	}
	d := &dev{env: e, log: log, url: baseURL(l), ended: make(chan error, 1)}
	defer func() {
		if err != nil {
			l.Close()
			if e.Err() != nil {
				err = e.Err() // interrupted by a signal, which is no error
			}
			err = errors.Join(err, d.close())
		}
	}()
	at, err := d.startServers()
	if err != nil {
		return nil, err
	}
	if prepare != nil {
		if at, d.atEnd, err = prepare(at); err != nil {
			return nil, err
		}
	}
	k, err := keepKeys(e.Data)
	if err != nil {
		return nil, err
	}
	k.fill(&e.Config)
	d.at = at
	e.siteURL = d.url
	if err := d.run(l, at); err != nil {
		return nil, err
	}
	return d, d.publish(at)
}

// startServers starts the private servers, unless both are given.
func (d *dev) startServers() (at where, err error) {
	e := d.env
	at = where{given(e.DatabaseURL), given(e.RedisURL)}
	if at.database != "" && at.redis != "" {
		return at, os.MkdirAll(e.Data, 0o700)
	}
	d.servers, err = embedded.Start(e, embedded.Options{Dir: e.Data, Restart: true, Log: d.log})
	if err != nil {
		return at, err
	}
	if at.database == "" {
		at.database = d.servers.DatabaseURL
	}
	if at.redis == "" {
		at.redis = d.servers.RedisURL
	}
	return at, nil
}

// run migrates, then serves and works in the background until stop.
func (d *dev) run(l net.Listener, at where) error {
	e := d.env
	waiting := func(h migrations.Holder) { d.log.Warn("waiting for another migration", "of", h.String()) }
	if _, err := migrations.UpWith(e, at.database,
		migrations.Options{Wait: migrations.DefaultWait, Tell: waiting}); err != nil {
		return err
	}
	redis, err := jobs.ParseRedis(at.redis)
	if err != nil {
		return err
	}
	s, err := e.openAt(at.database)
	if err != nil {
		return err
	}
	t, err := e.watch(s, redis, d.log)
	if err != nil {
		s.Close()
		return err
	}
	p := process{s, redis, t}
	w, err := e.newSite(s, redis, t)
	if err != nil {
		p.close()
		return err
	}
	d.metrics = cmp.Or(t.url, d.url) + "/metrics"
	ctx, cancel := context.WithCancel(context.WithoutCancel(e))
	d.stop = cancel
	go func() {
		d.ended <- d.serveAndWork(ctx, l, w, p)
		p.close()
		close(d.ended)
	}()
	return nil
}

// serveAndWork stops receiving before it stops working.
func (d *dev) serveAndWork(ctx context.Context, l net.Listener, w *site, p process) error {
	at, closeSources, err := d.env.newWorker(p.store, p.redis, p.telemetry)
	if err != nil {
		return errors.Join(err, w.close())
	}
	defer closeSources()
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() { done <- at.Run(working) }()
	err = w.serve(ctx, l, 0)
	stop()
	return errors.Join(err, <-done)
}

// publish writes the addresses of the servers for other commands.
func (d *dev) publish(at where) error {
	c := d.env.Config
	d.signIn = access.SignInLink(d.url, given(c.AdminToken), time.Now())
	if d.servers == nil {
		return nil
	}
	return d.servers.Publish(map[string]string{
		noteURL: d.url, noteSignIn: d.signIn, noteDatabase: at.database, noteRedis: at.redis,
		noteTypes:                     c.PlatformProductTypes,
		noteCap:                       strconv.Itoa(c.MailCap),
		noteMode:                      c.stripeMode(),
		noteKeys + "STRIPE_API_KEY":   present(c.StripeAPIKey),
		noteKeys + "CLERK_SECRET_KEY": present(c.ClerkSecretKey),
		"admin_token":                 given(c.AdminToken),
		"stripe_webhook_secrets":      given(c.StripeSecrets),
		"clerk_webhook_secrets":       given(c.ClerkSecrets),
		"platform_webhook_secrets":    given(c.PlatformSecrets),
	})
}

// present notes that a secret is set, without the secret.
func present(value *string) string {
	if value == nil {
		return ""
	}
	return "yes"
}

// wait returns when a signal came, or something failed, and all is stopped.
func (d *dev) wait(ctx context.Context) error {
	var lost <-chan error
	if d.servers != nil {
		lost = d.servers.Lost()
	}
	select {
	case <-ctx.Done():
		fmt.Fprintln(d.env.err, "stopping …")
		return d.close()
	case err := <-lost:
		err = &trouble{what: err.Error(), do: "the data is in " + d.env.Data, err: err}
		return errors.Join(err, d.close())
	case err := <-d.ended:
		return errors.Join(err, d.close())
	}
}

// close stops what runs, in order.
func (d *dev) close() error {
	var errs []error
	if d.stop != nil {
		d.stop()
		for err := range d.ended {
			errs = append(errs, err)
		}
	}
	if d.atEnd != nil {
		errs = append(errs, d.atEnd())
	}
	if d.servers != nil {
		errs = append(errs, d.servers.Stop())
	}
	return errors.Join(errs...)
}

// describe prints where everything is; list is the page of some store's list, or
// empty.
func (d *dev) describe(w io.Writer, list string) {
	c := d.env.Config
	example, customers := "/api/admin/events", ""
	if list != "" {
		example = strings.Replace(list, "/store/", "/api/stores/", 1)
		customers = "\n  Customers   " + d.url + list +
			"\n  Mailbox     " + d.url + strings.TrimSuffix(list, "customers") + "mail/mailbox"
	}
	fmt.Fprintf(w, `
Rollcall is running on %[1]s

  Sign in     %[2]s%[10]s
  Operators   %[1]s/admin
  Inbox       rollcall events list%[8]s
  Queues      %[1]s/monitoring
  Metrics     %[11]s
  API         curl -H 'Authorization: Bearer %[3]s' %[1]s%[9]s

  Webhooks, and what they are signed with:
    POST %[1]s/webhooks/stripe     %[4]s
    POST %[1]s/webhooks/clerk      %[5]s
    POST %[1]s/webhooks/platform   %[6]s

  Data folder %[7]s

Ctrl-C stops it.
`, d.url, d.signIn, given(c.AdminToken), given(c.StripeSecrets), given(c.ClerkSecrets), given(c.PlatformSecrets),
		c.Data, c.dataFlag(), example, customers, d.metrics)
}

// dataFlag is what other commands need to find this folder.
func (c *Config) dataFlag() string {
	if c.Data == defaultData() {
		return ""
	}
	return " --data " + quote(c.Data)
}

// keys are the secrets that dev generates. It stores them in the data folder, readable
// only by its owner, so that they stay valid.
type keys struct {
	Stripe     string `json:"stripe_webhook_secret"`
	Clerk      string `json:"clerk_webhook_secret"`
	Platform   string `json:"platform_webhook_secret"`
	AdminToken string `json:"admin_token"`
}

// keepKeys reads the keys kept in dir, or makes them.
func keepKeys(dir string) (k keys, err error) {
	path := filepath.Join(dir, "secrets.json")
	text, err := os.ReadFile(path)
	if err == nil {
		if err := json.Unmarshal(text, &k); err != nil {
			return k, fmt.Errorf("%s is damaged: remove it, and new secrets are made", path)
		}
		return k, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	k = keys{signingSecret(), signingSecret(), signingSecret(), hex.EncodeToString(random(24))}
	text, err = json.MarshalIndent(k, "", "  ")
	if err == nil {
		err = os.WriteFile(path+".new", append(text, '\n'), 0o600)
	}
	if err == nil {
		err = os.Rename(path+".new", path) // whole or not at all, whenever this process is killed
	}
	return k, err
}

func signingSecret() string { return "whsec_" + base64.StdEncoding.EncodeToString(random(24)) }

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return b
}

// fill sets what the environment leaves open.
func (k keys) fill(c *Config) {
	for to, key := range map[**string]string{
		&c.StripeSecrets: k.Stripe, &c.ClerkSecrets: k.Clerk, &c.PlatformSecrets: k.Platform, &c.AdminToken: k.AdminToken,
	} {
		if *to == nil {
			*to = &key
		}
	}
}
