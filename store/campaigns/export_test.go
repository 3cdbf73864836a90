package campaigns

import (
	"context"
	"time"

	"rollcall/store/pg"
)

// EnteringNow is the SQL of who enters a campaign, for tests of its plan.
func (s *Campaigns) EnteringNow(ctx context.Context, db pg.Querier, c Campaign, now time.Time) (string, []any, error) {
	sql, args, err := s.enteringNow(ctx, db, &c, now)
	return sql, args, err
}

// DecideAtMost limits how many mails previews decide about.
func (s *Campaigns) DecideAtMost(n int64) { s.mostDecided = n }

// CountAtMost limits how many runs are counted while someone waits.
func (s *Campaigns) CountAtMost(n int64) { s.mostCounted = n }

// Enter writes customers who enter a campaign, whether or not they are in it.
func (s *Campaigns) Enter(ctx context.Context, c Campaign, now time.Time, emails ...string) error {
	e := entrants{emails: emails}
	for range emails {
		e.occurrences, e.about = append(e.occurrences, "once"), append(e.about, "")
		e.arms, e.due = append(e.arms, "a"), append(e.due, now)
	}
	return s.write(ctx, &c, e, now)
}
