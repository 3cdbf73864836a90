package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"
)

// question is what is asked of a site: paths that ask the same of other values,
// so that it is not one answer that is kept warm.
type question struct {
	name       string
	api, pages []string
	findsNone  bool
}

// form is a question of the list or, if so called, of its figures: a query, in which
// %s stands for each of the values, words divided by spaces.
type form struct{ name, query, values string }

// Courses and products by how many have them. Those of low numbers sell best.
const (
	popular     = "course_0_1 course_0_2 course_0_3"
	medium      = "course_0_9 course_0_10 course_0_11 course_0_12 course_0_13 course_0_14"
	rare        = "course_0_35 course_0_36 course_0_37 course_0_38 course_0_39 course_0_40"
	bestSellers = "digital_0_1 digital_0_2 digital_0_3"
	rareThings  = "digital_0_17 digital_0_18 digital_0_19 digital_0_20"
	days        = "7 14 30 60 90"
	longAgo     = "200 400 600 800 950"
)

var forms = []form{
	{"first page", "%s", ""},
	{"type", "type=%s", "lead paying subscription"},
	{"status", "status=%s", "active inactive"},
	{"source", "source=%s", "free_course course_purchase product_purchase subscription"},
	{"course, popular", "course=%s", popular},
	{"course, medium", "course=%s", medium},
	{"course, rare", "course=%s", rare},
	{"not_course, popular", "not_course=%s", popular},
	{"not_course, rare", "not_course=%s", rare},
	{"completed=yes, popular", "completed=yes&course=%s", popular},
	{"completed=yes, rare", "completed=yes&course=%s", rare},
	{"completed=no, rare", "completed=no&course=%s", rare},
	{"progress 40 to 60%, popular", "progress_min=40&progress_max=60&course=%s", popular},
	{"progress 40 to 60%, rare", "progress_min=40&progress_max=60&course=%s", rare},
	{"product, popular", "product=%s", bestSellers},
	{"product, rare", "product=%s", rareThings},
	{"not_product, popular", "not_product=%s", bestSellers},
	{"spent_min, 50 to 200", "spent_min=%s", "50 100 150 200"},
	{"spent_min, 1,000 and more", "spent_min=%s", "1000 1200 1500 2000"},
	{"first_seen_after", "first_seen_after=%sd", days},
	{"first_seen_before", "first_seen_before=%sd", longAgo},
	{"last_activity_after", "last_activity_after=%sd", days},
	{"last_activity_before", "last_activity_before=%sd", longAgo},
	{"four filters", "type=paying&course=%s&spent_min=100&last_activity_after=90d", popular},
	{"four filters, few match", "type=paying&course=%s&spent_min=500&first_seen_before=800d", medium},
	{"q: a common name", "q=%s", "maria james anna smith müller"},
	{"q: two names", "q=%s", "maria+garcía james+smith zoe+silva noor+reynolds"},
	{"q: part of a word", "q=%s", "arci hnso ller ødeg alsk"},
	{"q: a title", "q=%s", "sourdough guitar preset masterclass deep+dive"},
	{"q: no matches", "q=%s", "zzqxv nobody+at+all xylophonist qqqq"},
	{"q: two letters", "q=%s", "an li ng zo"},
	{"q: two letters, no matches", "q=%s", "qx zx"},
	{"stats", "%s", ""},
	{"stats of a type", "type=%s", "lead paying subscription"},
	{"stats of a popular course", "course=%s", popular},
	{"stats of a common name", "q=%s", "maria james smith"},
}

// ofForm asks the API and the page, or only the API for its figures.
func ofForm(f form) question {
	var queries []string
	for value := range strings.SplitSeq(f.values, " ") {
		queries = append(queries, fmt.Sprintf(f.query, value))
	}
	if strings.HasPrefix(f.name, "stats") {
		return question{name: f.name, api: under(apiPath+"/stats?", queries)}
	}
	q := ofList(f.name, queries)
	q.findsNone = strings.HasSuffix(f.name, "no matches")
	return q
}

// ofList asks for the list, with each of the queries.
func ofList(name string, queries []string) question {
	return question{name: name, api: under(apiPath+"/customers?", queries), pages: under(pagePath+"?", queries)}
}

// under puts what is asked behind a path.
func under(path string, asked []string) (paths []string) {
	for _, a := range asked {
		paths = append(paths, path+a)
	}
	return paths
}

// deep is how many pages down the list the deepest page is.
const deep = 1000

// questions are all that is asked.
func (s *system) questions(ctx context.Context, a *asker) (all []question) {
	for _, f := range forms {
		all = append(all, ofForm(f))
	}
	further := a.walk(ctx, "", deep)
	all = append(all, ofList(fmt.Sprintf("page %d", deep), further[len(further)-20:]))
	for _, sort := range strings.Fields("last_activity first_seen spent name email") {
		for _, sort := range []string{sort, "-" + sort} {
			all = append(all, ofList("sort="+sort+", pages 1 to 10", a.walk(ctx, "sort="+sort, 10)))
		}
	}
	var addresses, ids []string
	for _, c := range s.someCustomers(ctx) {
		addresses = append(addresses, "q="+url.QueryEscape(c.Email))
		var shown struct{ ID string } // as links have it
		check(json.Unmarshal(a.get(ctx, fmt.Sprintf("%s/customers/%d", apiPath, c.ID), "identity"), &shown))
		ids = append(ids, shown.ID)
	}
	customers := under(apiPath+"/customers/", ids)
	return append(all,
		ofList("q: an address", addresses),
		question{name: "one customer", api: customers, pages: under(pagePath+"/", ids)},
		question{name: "explain", api: behind(customers, "/explain")},
		question{name: "timeline", api: behind(customers, "/timeline")})
}

func behind(paths []string, end string) (longer []string) {
	for _, p := range paths {
		longer = append(longer, p+end)
	}
	return longer
}

// walk goes down a list for so many pages, and returns the query of each.
func (a *asker) walk(ctx context.Context, query string, pages int) []string {
	queries := []string{query}
	for len(queries) < pages {
		var page struct {
			Next *string `json:"next_cursor"`
		}
		check(json.Unmarshal(a.get(ctx, apiPath+"/customers?"+queries[len(queries)-1], "identity"), &page))
		if page.Next == nil {
			break
		}
		queries = append(queries, strings.TrimPrefix(query+"&cursor="+*page.Next, "&"))
	}
	return queries
}

// someone is a customer of the long list.
type someone struct {
	ID    int64
	Email string
}

// someCustomers are from all of the long list, none near another.
func (s *system) someCustomers(ctx context.Context) []someone {
	rows := try(s.pool.Query(ctx, `
		SELECT id, email
		FROM customers
		WHERE store_id = $1 AND id % 997 = 1
		ORDER BY hashint8(id)
		LIMIT 200`, longest))
	return try(pgx.CollectRows(rows, pgx.RowToStructByPos[someone]))
}
