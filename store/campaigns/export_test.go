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
