package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/internal/embedded"
	"rollcall/webhooks"
)

// docker-compose.yml is tested without Docker: its services are started with the
// programs of this machine, by their commands, environments, dependencies and health
// checks. Not tested is what only Docker does: to build the image, networks, and
// volumes.

// stack is the services, as far as they were started.
type stack struct {
	t        *testing.T
	project  project
	servers  *embedded.Servers  // its Postgres is the service's
	home     string             // where services run
	here     *strings.Replacer  // hosts and ports of containers to those of this machine
	ports    map[string]string  // of services, here
	services map[string]*daemon // that were started
}

// TestCompose runs what docs/deploy.md does with `docker compose`, line by line:
// all services are started; a customer who came of a webhook is there after what
// was backed up was restored. Then they are stopped.
func TestCompose(t *testing.T) {
	t.Parallel()
	s, lines := newStack(t), dockerLines(t)
	if len(lines) < 10 {
		t.Fatalf("docs/deploy.md has %q", lines)
	}
	s.docker(lines[0])
	s.wantSettings()
	s.wantCustomer()
	s.exec("serve", []string{"/rollcall", "events", "send", "store.upserted", `{"id":"store_1","name":"One"}`})
	for _, line := range lines[1:] {
		s.docker(line)
	}
	s.wantList()
	s.stop("serve", "work")
}

// dockerLines are the lines of docs/deploy.md that are for Docker.
func dockerLines(t *testing.T) (lines []string) {
	t.Helper()
	for _, b := range blocks(t, "../../docs/deploy.md") {
		for line := range strings.Lines(b.text) {
			if strings.HasPrefix(line, "docker ") {
				lines = append(lines, strings.TrimSpace(line))
			}
		}
	}
	return lines
}

// docker does what a line of docs/deploy.md has Docker do.
func (s *stack) docker(line string) {
	s.t.Helper()
	words := strings.Fields(line)
	switch rest := words[3:]; strings.Join(words[:3], " ") {
	case "docker compose up":
		seen := map[string]bool{}
		for _, name := range slices.Sorted(maps.Keys(s.project.Services)) {
			s.up(name, seen)
		}
		for name := range s.project.Services {
			s.await(name, healthy)
		}
	case "docker compose stop":
		s.stop(rest...)
	case "docker compose exec": // -T, service, command
		s.exec(rest[1], rest[2:])
	default:
		s.t.Fatalf("what does %q do?", line)
	}
}

// exec runs a command in a service's container; its output, or input, may be a file.
func (s *stack) exec(service string, args []string) {
	s.t.Helper()
	var in io.Reader
	var out bytes.Buffer
	direction, file := "", ""
	if n := len(args) - 2; n > 0 {
		direction, file = args[n], filepath.Join(s.home, args[n+1])
	}
	switch direction {
	case "<":
		in = strings.NewReader(readFile(s.t, file))
		fallthrough
	case ">":
		args = args[:len(args)-2]
	}
	cmd := s.command(s.project.Services[service], args)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, &out, s.t.Output()
	if err := cmd.Run(); err != nil && !slices.Contains(args, "doctor") { // which may find something
		s.t.Fatalf("%q: %v\n%s", args, err, &out)
	}
	if differ := differences.Find(out.Bytes()); differ != nil {
		s.t.Errorf("%s", differ)
	}
	if direction == ">" {
		if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
}

// wantSettings asks the servers for what the file sets.
func (s *stack) wantSettings() {
	s.t.Helper()
	for name, service := range s.project.Services {
		if service.HealthCheck == nil && name != "migrate" {
			s.t.Errorf("%s has no health check", name)
		}
	}
	for setting, want := range map[string]string{"maxmemory-policy": "noeviction", "appendonly": "yes"} {
		if got := s.run("redis", "redis-cli", "-e", "CONFIG", "GET", setting); got != setting+"\n"+want {
			s.t.Errorf("%q, want %s %s", got, setting, want)
		}
	}
	if got := s.locks(); got != "256" {
		s.t.Errorf("max_locks_per_transaction is %s", got)
	}
}

// newStack reads the file, beside an .env filled in as its example says, and
// finds the places of its services on this machine.
func newStack(t *testing.T) *stack {
	t.Helper()
	s := &stack{t: t, home: t.TempDir(), ports: map[string]string{}, services: map[string]*daemon{}}
	fillIn(t, filepath.Join(s.home, ".env"), newOutside(t).values())
	s.project = readCompose(t, readEnv(t, filepath.Join(s.home, ".env")))
	s.startPostgres()
	for _, name := range []string{"redis", "serve", "metrics of serve", "metrics of work"} {
		s.ports[name] = freePort(t)
	}
	s.here = strings.NewReplacer("@postgres/", "@"+s.servers.PostgresAddr+"/", "@redis", "@127.0.0.1:"+s.ports["redis"],
		"127.0.0.1:8080", "127.0.0.1:"+s.ports["serve"], ":8080", "127.0.0.1:"+s.ports["serve"])
	return s
}

// at says of a service on this machine what the file says of it in a container.
func (s *stack) at(service, text string) string {
	metrics := "127.0.0.1:" + s.ports["metrics of "+service]
	return strings.NewReplacer("127.0.0.1:9090", metrics, ":9090", metrics).Replace(s.here.Replace(text))
}

// startPostgres does what the image does: it makes the user and the database, and
// starts the server by the service's command, with Postgres' own defaults of what
// our private servers set otherwise.
func (s *stack) startPostgres() {
	s.t.Helper()
	service := s.project.Services["postgres"]
	settings := []string{"max_connections=100", "max_locks_per_transaction=64"}
	if len(service.Command)%2 == 0 || service.Command[0] != "postgres" {
		s.t.Fatalf("command of postgres: %q", service.Command)
	}
	for pair := range slices.Chunk(service.Command[1:], 2) {
		if pair[0] != "-c" {
			s.t.Fatalf("command of postgres: %q", service.Command)
		}
		settings = append(settings, pair[1])
	}
	var err error
	if s.servers, err = embedded.Start(s.t.Context(), embedded.Options{Temporary: true, Settings: settings}); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := s.servers.Stop(); err != nil {
			s.t.Error(err)
		}
	})
	conn, err := pgx.Connect(s.t.Context(), s.servers.DatabaseURL)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	user, database := service.environment()["POSTGRES_USER"], service.environment()["POSTGRES_DB"]
	if user != "rollcall" || database != "rollcall" {
		s.t.Fatalf("user %s, database %s: the test has rollcall for both", user, database)
	}
	password := fmt.Sprintf("ALTER ROLE rollcall PASSWORD '%s'", service.environment()["POSTGRES_PASSWORD"])
	if _, err := conn.Exec(s.t.Context(), password); err != nil {
		s.t.Fatal(err)
	}
}

// up starts a service that does not run, after those it depends on.
func (s *stack) up(name string, seen map[string]bool) {
	s.t.Helper()
	if seen[name] || name == "postgres" || s.services[name].runs() {
		return
	}
	seen[name] = true
	service := s.project.Services[name]
	for other, on := range service.DependsOn {
		s.up(other, seen)
		s.await(other, on.Condition)
	}
	args := slices.Clone(service.Command)
	switch {
	case name == "redis":
		args = append(args, "--port", s.ports["redis"], "--bind", "127.0.0.1")
	case service.Entrypoint == nil && service.Image == "rollcall":
		args = append([]string{"rollcall"}, args...) // the Dockerfile's ENTRYPOINT
	default:
		s.t.Fatalf("what is to be done for service %s?", name)
	}
	s.services[name] = launch(s.t, s.command(service, args))
}

// command is one that runs in a service's container, but here.
func (s *stack) command(service service, args []string) *exec.Cmd {
	args = slices.Clone(args)
	for i := range args {
		args[i] = s.at(service.Name, args[i])
	}
	args[0] = strings.TrimPrefix(args[0], "/")
	if args[0] == "redis-cli" {
		args = slices.Insert(args, 1, "-p", s.ports["redis"])
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = filepath.Join(s.home, service.Name)
	if err := os.MkdirAll(cmd.Dir, 0o700); err != nil {
		s.t.Fatal(err)
	}
	postgres, err := url.Parse(s.servers.DatabaseURL) // by its socket, as in the container
	if err != nil {
		s.t.Fatal(err)
	}
	at := postgres.Query()
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + cmd.Dir, "PGHOST=" + at.Get("host"),
		"PGPORT=" + at.Get("port")}
	for name, value := range service.environment() {
		cmd.Env = append(cmd.Env, name+"="+s.at(service.Name, value))
	}
	return cmd
}

// await waits until a service is as another needs it.
func (s *stack) await(name, condition string) {
	s.t.Helper()
	service := s.project.Services[name]
	switch {
	case condition == completed:
		if err := s.services[name].wait(deadline); err != nil {
			s.t.Fatalf("%s: %v\n%s", name, err, &s.services[name].log)
		}
	case condition == healthy && service.HealthCheck != nil:
		test := service.HealthCheck.Test
		if test[0] != "CMD" {
			s.t.Fatalf("health check of %s: %q: not every image has a shell", name, test)
		}
		eventually(s.t, name+" is healthy", func() bool { return s.command(service, test[1:]).Run() == nil })
	}
}

// run runs a command in a service's container and returns what it says.
func (s *stack) run(name string, args ...string) string {
	s.t.Helper()
	out, err := s.command(s.project.Services[name], args).CombinedOutput()
	if err != nil {
		s.t.Errorf("%q: %v", args, err)
	}
	return strings.TrimSpace(string(out))
}

// locks asks Postgres, as the user and by the password that services have.
func (s *stack) locks() (setting string) {
	s.t.Helper()
	conn, err := pgx.Connect(s.t.Context(), s.here.Replace(s.project.Services["work"].environment()["DATABASE_URL"]))
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if err := conn.QueryRow(s.t.Context(), "SHOW max_locks_per_transaction").Scan(&setting); err != nil {
		s.t.Fatal(err)
	}
	return setting
}

// wantCustomer sends a signed webhook to the published port, and wants whom it speaks
// of on the list.
func (s *stack) wantCustomer() {
	s.t.Helper()
	body := []byte(
		`{"type":"enrollment.upserted","timestamp":"2026-01-12T10:00:00Z",` +
			`"data":{"course_id":"course_1","store_id":"store_1","email":"ava@example.com"}}`)
	secret := s.project.Services["serve"].environment()["PLATFORM_WEBHOOK_SECRETS"]
	header, err := webhooks.SignPlatform(secret, "evt_1", body, time.Now())
	if err != nil {
		s.t.Fatal(err)
	}
	if status, said := s.ask(http.MethodPost, "/webhooks/platform", header, body); status != http.StatusOK {
		s.t.Fatalf("webhook: %d %s", status, said)
	}
	s.wantList()
}

// wantList asks the API there until the customer is on the list.
func (s *stack) wantList() {
	s.t.Helper()
	header := http.Header{"Authorization": {"Bearer " + s.project.Services["serve"].environment()["ADMIN_TOKEN"]}}
	eventually(s.t, "ava is on the list", func() bool {
		_, said := s.ask(http.MethodGet, "/api/stores/store_1/customers", header, nil)
		var list struct{ Data []struct{ Email string } }
		return json.Unmarshal(said, &list) == nil && len(list.Data) == 1 && list.Data[0].Email == "ava@example.com"
	})
}

// ask asks at the port that is published.
func (s *stack) ask(method, path string, header http.Header, body []byte) (int, []byte) {
	s.t.Helper()
	published := strings.TrimSuffix(s.project.Services["serve"].Ports[0], ":8080") // the container's port
	at := "http://" + s.here.Replace(published)
	req, err := http.NewRequestWithContext(s.t.Context(), method, at+path, bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header = header
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	var said bytes.Buffer
	if _, err := said.ReadFrom(resp.Body); err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, said.Bytes()
}

// stop tells services to end. One that has not when its grace is over would be
// killed by Docker.
func (s *stack) stop(names ...string) {
	s.t.Helper()
	for _, name := range names {
		if err := s.services[name].cmd.Process.Signal(syscall.SIGTERM); err != nil {
			s.t.Error(err)
		}
	}
	for _, name := range names {
		if err := s.services[name].wait(s.project.Services[name].StopGracePeriod); err != nil {
			s.t.Errorf("%s, told to stop: %v\n%s", name, err, &s.services[name].log)
		}
	}
}
