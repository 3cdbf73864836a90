package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

type healthCmd struct {
	URL string `arg:"" optional:"" placeholder:"URL" help:"What to ask. Without it: /readyz of the dev or demo running on --data, else of LISTEN."`
}

// healthTimeout is more than a server takes to find out that Postgres is away.
const healthTimeout = 3 * time.Second

// Help is shown below the usage.
func (healthCmd) Help() string {
	return `Checks a running server, prints the answer, and ends with status 0 if that is 200. It is for supervisors ` +
		`without curl, for example in the container image. serve answers /healthz (it lives) and /readyz ` +
		`(it takes requests: Postgres is there, and migrated); work answers /healthz at METRICS_LISTEN, if that is set.`
}

func (c healthCmd) Run(e *env) error {
	if c.URL == "" {
		c.URL = e.serveURL() + "/readyz"
	}
	ctx, cancel := context.WithTimeout(e, healthTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL, nil)
	if err != nil {
		return usageError(fmt.Sprintf("%q is not a URL: write it as http://127.0.0.1:8080/readyz", c.URL))
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("%s does not answer (%s)", c.URL, reason(err))
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if err != nil {
		return err
	}
	text := strings.TrimSpace(string(body))
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s: %s", c.URL, resp.Status, text)
	}
	_, err = fmt.Fprintln(e.out, text)
	return err
}
