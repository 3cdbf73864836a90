package main

import (
	"cmp"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"rollcall/facts"
	"rollcall/store"
)

func TestMonies(t *testing.T) {
	all := []store.Money{{Amount: 29900, Currency: "usd"}, {Amount: 5800, Currency: "jpy"},
		{Amount: 50000, Currency: "rsd"}}
	if got, want := monies(all), "$299.00 + ¥5,800 + RSD\u00a0500.00"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestTableAligns(t *testing.T) {
	tab := table{head: []string{"NAME", "X"}}
	tab.add("森 花", "1")
	tab.add("Zoë", "2") // a letter and its accent apart
	tab.add("a remark that is longer than the column, and does not widen it")
	var out strings.Builder
	tab.print(&out)
	want := "NAME   X\n森 花  1\nZoë    2\na remark that is longer than the column, and does not widen it\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

func TestAgo(t *testing.T) {
	for d, want := range map[time.Duration]string{
		5 * time.Second: "just now", time.Minute: "1 minute ago", 90 * time.Minute: "1 hour ago",
		47 * time.Hour: "47 hours ago", 49 * time.Hour: "2 days ago",
	} {
		if got := ago(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

// TestStripeMode: events of the other mode are ignored, others are read.
func TestStripeMode(t *testing.T) {
	live, test := true, false
	for _, c := range []struct {
		mode     string
		source   string
		livemode *bool
		ignored  bool
	}{
		{"", "stripe", &live, false}, // live, where nothing is said
		{"", "stripe", &test, true},
		{"any", "stripe", &live, false},
		{"any", "stripe", &test, false},
		{"live", "stripe", &live, false},
		{"live", "stripe", &test, true},
		{"live", "stripe", nil, false},
		{"test", "stripe", &live, true},
		{"test", "platform", nil, false},
	} {
		mode := &c.mode
		if c.mode == "" {
			mode = nil
		}
		e := facts.Event{Source: c.source, ID: "evt", Type: "customer.created", Livemode: c.livemode,
			Payload: []byte(`{"data":{"object":{"id":"cus"}}}`)}
		if c.source == "platform" {
			e.Type, e.Payload = "product.deleted", []byte(`{"data":{"id":"p"}}`)
		}
		_, err := (&Config{StripeMode: mode}).read()(e)
		var ignored *facts.Ignored
		if errors.As(err, &ignored) != c.ignored {
			t.Errorf("mode %q, %s %v: %v", c.mode, c.source, c.livemode, err)
		}
		if c.ignored && !strings.Contains(ignored.Reason, "STRIPE_MODE is "+cmp.Or(c.mode, "live")) {
			t.Errorf("mode %q: the event says %q", c.mode, ignored.Reason)
		}
	}
}

// TestModeUnlessTold: a worker that is told nothing leaves test events out. Anybody
// with an account connected to the platform's can cause those, for free.
func TestModeUnlessTold(t *testing.T) {
	t.Setenv("STRIPE_MODE", "")
	os.Unsetenv("STRIPE_MODE")
	var cli commandLine
	parser := kong.Must(&cli, kong.Vars{"data": "d"})
	if _, err := parser.Parse([]string{"work"}); err != nil {
		t.Fatal(err)
	}
	test := false
	_, err := cli.Settings.read()(facts.Event{Source: "stripe", ID: "evt", Type: "customer.created", Livemode: &test,
		Payload: []byte(`{"data":{"object":{"id":"cus"}}}`)})
	var ignored *facts.Ignored
	if !errors.As(err, &ignored) {
		t.Errorf("an event of test mode counts: %v", err)
	}
}

// TestAlertSettings: without them nobody is told, which no worker may take for
// somebody.
func TestAlertSettings(t *testing.T) {
	if a, err := (&Config{}).alert(); a != nil || err != nil {
		t.Errorf("%v %v", a, err)
	}
	c := Config{AlertURL: ptrTo("https://hooks.example/x"), AlertSecret: ptrTo("whsec_aHVzaGh1c2hodXNoaHVzaGh1c2g=")}
	if a, err := c.alert(); a == nil || err != nil || c.checkAlert() != nil {
		t.Errorf("%v %v %v", a, err, c.checkAlert())
	}
}
