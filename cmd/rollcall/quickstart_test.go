package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestQuickstart plays docs/quickstart.md, from an empty folder to a customer on the list. Each
// command runs as it stands. The programs of testdata/senders stand in for Stripe's command line
// and the tunnel: Stripe's mock makes the objects, Stripe's and Svix's own libraries sign.
func TestQuickstart(t *testing.T) {
	t.Parallel()
	n := newNewcomer(t)
	defer n.stops()
	for i, b := range blocks(t, "../../docs/quickstart.md") {
		if i == 0 {
			n.installs(b)
			continue
		}
		for line := range strings.Lines(b.text) {
			n.types(b.at, strings.TrimSpace(line))
		}
	}
	for _, want := range []string{"user.created", "processed", "listed", "stripe@example.com", "0 problems, 0 warnings"} {
		if !n.done[want] {
			t.Errorf("docs/quickstart.md does not lead to this: %s", want)
		}
	}
}

// newcomer is a person who follows the quick start.
type newcomer struct {
	*testing.T
	dir     string // where they work
	env     []string
	address string // in place of 127.0.0.1:8080
	tunnel  string
	secret  string // of the endpoint at Clerk
	dev     *daemon
	done    map[string]bool
}

const (
	clerkEvent = "../../testdata/fixtures/clerk/user.created.json"
	newUser    = "user_2AvaLindqvist0000000000001"
)

func newNewcomer(t *testing.T) *newcomer {
	t.Helper()
	senders, err := filepath.Abs("testdata/senders")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(senders + "/node_modules"); err != nil {
		t.Fatalf("the libraries of Stripe and Svix are missing: run `make setup-test` (%v)", err)
	}
	mock := httptest.NewServer(stripeMock(t))
	t.Cleanup(mock.Close)
	at, err := url.Parse(mock.URL)
	if err != nil {
		t.Fatal(err)
	}
	tunnel := freePort(t)
	n := &newcomer{T: t, dir: t.TempDir(), address: "127.0.0.1:" + freePort(t), tunnel: "http://127.0.0.1:" + tunnel,
		secret: signingSecret(), done: map[string]bool{}}
	n.env = []string{"PATH=" + senders + "/bin:" + os.Getenv("PATH"), "HOME=" + n.dir, "ROLLCALL_DATA=" + passable(t),
		"LISTEN=" + n.address, "TUNNEL=" + tunnel, "STRIPE_MOCK=" + at.Port(), "STRIPE_SECRET=" + signingSecret(),
		"STRIPE_FORWARD=" + n.dir + "/forward"}
	return n
}

// installs checks that another test runs the commands that make the program: those of
// docs/deploy.md do the same.
func (n *newcomer) installs(b block) {
	known := readFile(n.T, "../../docs/deploy.md")
	for line := range strings.Lines(b.text) {
		command, _, _ := strings.Cut(line, " # ")
		if !strings.Contains(known, "\n"+strings.TrimSpace(command)) {
			n.Errorf("%s: %q is not in docs/deploy.md, whose commands are run", b.at, command)
		}
	}
}

// types types a line of the quick start, and does what stands around it.
func (n *newcomer) types(at, line string) {
	n.Helper()
	typed := strings.NewReplacer("127.0.0.1:8080", n.address, "whsec_…", n.secret, "user_…", newUser).Replace(line)
	switch {
	case line == "rollcall dev":
		n.dev = n.leaves(typed, "http://"+n.address+"/readyz")
	case strings.HasPrefix(line, "stripe listen"):
		n.leaves(typed, "")
		eventually(n.T, "stripe listens", func() bool { _, err := os.Stat(n.dir + "/forward"); return err == nil })
	case strings.HasPrefix(line, "cloudflared"):
		n.leaves(typed, n.tunnel+"/healthz")
	default:
		n.follows(line, n.runs(at, typed))
	}
}

// follows is what a person does or sees after a command.
func (n *newcomer) follows(line, out string) {
	n.Helper()
	switch command := strings.TrimLeft(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_=…"); {
	case strings.HasPrefix(line, "CLERK_WEBHOOK_SECRETS="):
		n.stops()
		n.types("", "rollcall dev")
		n.signsUp()
	case strings.HasPrefix(command, "rollcall events list"):
		n.sees(out, "user.created", "processed")
	case strings.HasPrefix(command, "rollcall events send"):
		n.sees(out, "processed")
	case strings.HasPrefix(command, "stripe trigger"):
		n.looks()
	case strings.HasPrefix(command, "rollcall customers list"):
		n.sees(out, "stripe@example.com")
	case command == "rollcall doctor":
		n.sees(out, "0 problems, 0 warnings")
	}
}

// runs runs a command, which must end well.
func (n *newcomer) runs(at, line string) string {
	n.Helper()
	out, err := n.command(line).CombinedOutput()
	if err != nil {
		n.Fatalf("%s: %s: %v\n%s", at, line, err, out)
	}
	return string(out)
}

func (n *newcomer) command(line string) *exec.Cmd {
	cmd := exec.CommandContext(n.Context(), "sh", "-c", line)
	cmd.Dir, cmd.Env = n.dir, n.env
	return cmd
}

// leaves starts what goes on running in a terminal of its own, until the URL answers.
func (n *newcomer) leaves(line, until string) *daemon {
	n.Helper()
	d := launch(n.T, n.command("exec "+line))
	if until != "" {
		eventually(n.T, until+" answers", func() bool { return get(until, "") != "" || !d.runs() })
	}
	if !d.runs() {
		n.Fatalf("%s has ended", line)
	}
	return d
}

// stops is Ctrl-C where `rollcall dev` runs.
func (n *newcomer) stops() {
	n.Helper()
	if !n.dev.runs() {
		return
	}
	if err := n.dev.cmd.Process.Signal(syscall.SIGINT); err != nil {
		n.Error(err)
	}
	if err := n.dev.wait(deadline); err != nil {
		n.Error(err)
	}
}

// signsUp makes Clerk report a user, through the tunnel.
func (n *newcomer) signsUp() {
	n.Helper()
	out, err := exec.Command("node", "testdata/senders/clerk.js", n.tunnel+"/webhooks/clerk", n.secret, "msg_1",
		clerkEvent).CombinedOutput()
	if err != nil {
		n.Fatalf("%v\n%s", err, out)
	}
	eventually(n.T, "the user's event is applied", func() bool {
		out, _ := n.command("rollcall events list").Output()
		return strings.Contains(string(out), "\n0 pending,")
	})
}

// looks opens the list as the link leads to it.
func (n *newcomer) looks() {
	n.Helper()
	token := strings.TrimSpace(n.runs("", "sed -n 's/^ADMIN_TOKEN=//p' .env"))
	for page, wants := range map[string][]string{
		"/admin/stores":            {"My Store", "/admin/stores/store_1"},
		"/admin/stores/store_1":    {"/store/store_1/customers"},
		"/store/store_1/customers": {"stripe@example.com", "My Course", "$30.00"},
	} {
		for _, want := range wants {
			eventually(n.T, page+" shows "+want, func() bool {
				return strings.Contains(get("http://"+n.address+page, token), want)
			})
		}
	}
	n.done["listed"] = true
}

// get is the body of a page, nothing if it is not there.
func get(at, token string) string {
	request, err := http.NewRequest(http.MethodGet, at, nil)
	if err != nil {
		return ""
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return ""
	}
	return string(body)
}

func (n *newcomer) sees(out string, wants ...string) {
	n.Helper()
	for _, want := range wants {
		if !strings.Contains(out, want) {
			n.Errorf("%q is not in\n%s", want, out)
		}
		n.done[want] = true
	}
}
