package doctor

import (
	"context"

	"rollcall/store/checks"
	"rollcall/store/finding"
)

// own are the checks that need more than the database: more of Postgres, Redis, or the
// settings.
var own = map[string]func(*doctor, context.Context) error{
	"settings": (*doctor).checkSettings,
	"database": (*doctor).checkDatabase,
	"schema":   (*doctor).checkSchema,
	"sessions": (*doctor).checkSessions,
	"redis":    (*doctor).checkRedis,
	"workers":  (*doctor).checkWorkers,
	"senders":  (*doctor).checkSenders,
	"events":   (*doctor).checkEvents,
}

// run runs a check, and reports what it finds.
func (d *doctor) run(ctx context.Context, c checks.Check) error {
	if c.Run == nil {
		return own[c.Name](d, ctx)
	}
	found, err := c.Run(d.checkup, ctx)
	well := err == nil
	for _, f := range found {
		well = d.find(f).Severity == finding.OK && well
	}
	if well && c.Fine != "" {
		d.fine("%s", c.Fine)
	}
	return err
}
