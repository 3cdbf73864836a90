package jobs

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/hibiken/asynq"
)

// ParseRedis reads REDIS_URL:
//
//	redis://[[user]:password@]host[:port][/db]       one server
//	redis-sentinel://[[user]:password@]host[:port],…/master[/db][?sentinel_user=…&sentinel_password=…]
//	redis-cluster://[[user]:password@]host[:port],…  a cluster, by some of its nodes
//	redis://…,redis://…                              the same
//
// With rediss for redis all connections are TLS. asynq's own parser drops user
// names and reads a sentinel's password as the server's.
func ParseRedis(raw string) (asynq.RedisConnOpt, error) {
	opt, err := parseRedis(raw)
	if err != nil {
		return nil, fmt.Errorf("REDIS_URL: %w", err)
	}
	return opt, nil
}

func parseRedis(raw string) (asynq.RedisConnOpt, error) {
	s, err := parseServers(strings.TrimSpace(raw))
	if err != nil {
		return nil, err
	}
	switch {
	case s.kind == "sentinel":
		return s.sentinel()
	case s.kind == "cluster" || len(s.addrs) > 1:
		return s.cluster()
	}
	if s.db, err = database(s.path); err != nil {
		return nil, err
	}
	return asynq.RedisClientOpt{Addr: s.addrs[0], Username: s.user, Password: s.password, DB: s.db, TLSConfig: s.tls}, nil
}

// servers is what a Redis URL says.
type servers struct {
	kind           string // sentinel, cluster or empty
	addrs          []string
	user, password string
	path           []string
	query          url.Values
	db             int
	tls            *tls.Config
}

// parseServers reads one URL, or a list of them that must agree.
func parseServers(raw string) (all servers, err error) {
	for i, one := range splitURLs(raw) {
		s, err := parseServer(one)
		if err != nil {
			return s, err
		}
		if i == 0 {
			all = s
			continue
		}
		if s.kind != "" || all.kind != "" {
			return s, errors.New("in a list of URLs each must be redis:// or rediss://")
		}
		same := s.user == all.user && s.password == all.password && (s.tls != nil) == (all.tls != nil) && slices.Equal(s.path, all.path)
		if !same {
			return s, errors.New("the nodes of a cluster must have the same scheme, user, password and database")
		}
		all.addrs = append(all.addrs, s.addrs...)
	}
	return all, nil
}

// splitURLs takes a list apart at those commas that a scheme follows: hosts and
// passwords may have some too.
func splitURLs(raw string) (urls []string) {
	for _, part := range strings.Split(raw, ",") {
		if n := len(urls); n == 0 || strings.Contains(part, "://") {
			urls = append(urls, strings.TrimSpace(part))
		} else {
			urls[n-1] += "," + part
		}
	}
	return urls
}

func parseServer(raw string) (s servers, err error) {
	scheme, rest, _ := strings.Cut(raw, "://")
	kind, known := map[string]string{
		"redis": "", "redis-sentinel": "sentinel", "redis-cluster": "cluster",
		"rediss": "", "rediss-sentinel": "sentinel", "rediss-cluster": "cluster",
	}[scheme]
	if !known || !strings.Contains(raw, "://") {
		return s, errors.New("its scheme is not redis, rediss, redis-sentinel or redis-cluster")
	}
	s.kind = kind
	if strings.HasPrefix(scheme, "rediss") {
		// Without a ServerName: each connection checks the name that it was made to.
		s.tls = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	who, hosts, rest := splitAuthority(rest)
	for _, host := range strings.Split(hosts, ",") {
		// Host by host, as url.Parse knows of one. It quotes the whole URL in its
		// errors, password included.
		u, err := url.Parse(scheme + "://" + who + strings.TrimSpace(host) + rest)
		if err != nil {
			return s, errors.New("is not a URL: characters of a password may have to be written as %XX")
		}
		if u.Hostname() == "" {
			return s, errors.New("names no host")
		}
		s.addrs = append(s.addrs, withPort(u.Host, s.kind))
		s.user, s.query = u.User.Username(), u.Query()
		s.password, _ = u.User.Password()
		s.path = strings.FieldsFunc(u.Path, func(r rune) bool { return r == '/' })
	}
	return s, s.checkQuery()
}

// splitAuthority takes apart user:password@, hosts, and what is behind them.
func splitAuthority(rest string) (who, hosts, behind string) {
	hosts = rest
	if i := strings.IndexAny(hosts, "/?#"); i >= 0 {
		hosts, behind = hosts[:i], hosts[i:]
	}
	if i := strings.LastIndexByte(hosts, '@'); i >= 0 {
		who, hosts = hosts[:i+1], hosts[i+1:]
	}
	return who, hosts, behind
}

// checkQuery refuses what would be passed over.
func (s servers) checkQuery() error {
	for name := range s.query {
		if s.kind != "sentinel" || name != "sentinel_user" && name != "sentinel_password" {
			return fmt.Errorf("there is no parameter %q", name)
		}
	}
	return nil
}

func withPort(host, kind string) string {
	if strings.Contains(host[strings.LastIndexByte(host, ']')+1:], ":") {
		return host
	}
	if kind == "sentinel" {
		return host + ":26379"
	}
	return host + ":6379"
}

// database reads the number of a database, the whole of a path.
func database(path []string) (db int, err error) {
	switch len(path) {
	case 0:
		return 0, nil
	case 1:
		if db, err = strconv.Atoi(path[0]); err == nil && db >= 0 {
			return db, nil
		}
	}
	return 0, fmt.Errorf("database %q is not a number", strings.Join(path, "/"))
}

func (s servers) sentinel() (_ asynq.RedisConnOpt, err error) {
	if len(s.path) == 0 {
		return nil, errors.New("a sentinel URL must end in the master's name: redis-sentinel://host,host/mymaster")
	}
	if s.db, err = database(s.path[1:]); err != nil {
		return nil, err
	}
	return asynq.RedisFailoverClientOpt{
		MasterName: s.path[0], SentinelAddrs: s.addrs, SentinelUsername: s.query.Get("sentinel_user"), SentinelPassword: s.query.Get("sentinel_password"),
		Username: s.user, Password: s.password, DB: s.db, TLSConfig: s.tls,
	}, nil
}

func (s servers) cluster() (asynq.RedisConnOpt, error) {
	if db, err := database(s.path); err != nil || db != 0 {
		return nil, errors.New("a cluster has no databases but 0")
	}
	return asynq.RedisClusterClientOpt{Addrs: s.addrs, Username: s.user, Password: s.password, TLSConfig: s.tls}, nil
}
