package jobs

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

// ParseRedis reads REDIS_URL:
//
//	redis://[[user]:password@]host[:port][/db]       one server
//	redis-sentinel://[[user]:password@]host[:port],…/master[/db][?sentinel_user=…&sentinel_password=…]
//	redis-cluster://[[user]:password@]host[:port],…  a cluster, by some of its nodes
//	redis://…,redis://…                              the same
//
// With rediss instead of redis all connections are TLS. Each host is parsed by the
// Redis client. asynq's parser drops user names and reads a sentinel's password as the
// server's; the client's takes one host, and options that asynq cannot pass on.
func ParseRedis(raw string) (asynq.RedisConnOpt, error) {
	opt, err := parseRedis(raw)
	if err != nil {
		return nil, fmt.Errorf("REDIS_URL: %w", err)
	}
	return opt, nil
}

// form splits a URL into TLS, kind, login, hosts, path and query.
var form = regexp.MustCompile(`^redis(s?)(|-sentinel|-cluster)://([^/?#]*@)?([^/?#@]*)(/[^?#]*)?(?:\?([^#]*))?$`)

// servers are the parts of a Redis URL, unparsed.
type servers struct {
	tls, kind, login string
	hosts            []string
	path, query      string
}

func parseRedis(raw string) (asynq.RedisConnOpt, error) {
	s, err := parseServers(raw)
	if err != nil {
		return nil, err
	}
	master := ""
	if s.kind == "-sentinel" {
		if master, s.path, _ = strings.Cut(strings.TrimPrefix(s.path, "/"), "/"); master == "" {
			return nil, errors.New("a sentinel URL must end in the master's name: redis-sentinel://host,host/mymaster")
		}
	}
	query, err := s.parseQuery()
	if err != nil {
		return nil, err
	}
	one, addrs, err := s.parseHosts()
	switch {
	case err != nil:
		return nil, err
	case s.kind == "-sentinel":
		return asynq.RedisFailoverClientOpt{
			MasterName: master, SentinelAddrs: addrs, Username: one.Username, Password: one.Password, DB: one.DB,
			SentinelUsername: query.Get("sentinel_user"), SentinelPassword: query.Get("sentinel_password"),
			TLSConfig: one.TLSConfig,
		}, nil
	case s.kind == "" && len(addrs) == 1:
		return asynq.RedisClientOpt{
			Addr: addrs[0], Username: one.Username, Password: one.Password, DB: one.DB, TLSConfig: one.TLSConfig,
		}, nil
	case one.DB != 0:
		return nil, errors.New("a cluster has no databases but 0")
	}
	return asynq.RedisClusterClientOpt{
		Addrs: addrs, Username: one.Username, Password: one.Password, TLSConfig: one.TLSConfig,
	}, nil
}

// parseServers reads one URL, or a list of URLs that differ only in their hosts.
func parseServers(raw string) (all servers, err error) {
	for i, one := range splitURLs(raw) {
		m := form.FindStringSubmatch(one)
		if m == nil {
			return all, errors.New("write a URL with the scheme redis, rediss, redis-sentinel or redis-cluster")
		}
		s := servers{tls: m[1], kind: m[2], login: m[3], path: m[5], query: m[6]}
		if i > 0 && (all.kind != "" || s.kind != "" || s.tls != all.tls || s.login != all.login || s.path != all.path) {
			return all, errors.New("the URLs of a list must be redis:// or rediss://, with the same user, password and database")
		}
		s.hosts = slices.Concat(all.hosts, strings.Split(m[4], ","))
		all = s
	}
	return all, nil
}

// splitURLs splits a list at the commas before a scheme. Hosts and passwords may contain commas.
func splitURLs(raw string) (urls []string) {
	for _, part := range strings.Split(raw, ",") {
		if n := len(urls); n == 0 || strings.Contains(part, "://") {
			urls = append(urls, strings.TrimSpace(part))
		} else {
			urls[n-1] += "," + strings.TrimSpace(part)
		}
	}
	return urls
}

// parseQuery rejects parameters that would be ignored.
func (s servers) parseQuery() (url.Values, error) {
	query, err := url.ParseQuery(s.query)
	for name := range query {
		if s.kind != "-sentinel" || name != "sentinel_user" && name != "sentinel_password" {
			return nil, fmt.Errorf("there is no parameter %q", name)
		}
	}
	if err != nil {
		return nil, errNoURL
	}
	return query, nil
}

var errNoURL = errors.New("this is not a URL; in a password, write special characters as %XX")

// parseHosts parses one URL per host and returns the options that all hosts share.
func (s servers) parseHosts() (one *redis.Options, addrs []string, err error) {
	for _, host := range s.hosts {
		if host == "" || host[0] == ':' {
			return nil, nil, errors.New("a host is missing")
		}
		if s.kind == "-sentinel" && !strings.Contains(host[strings.LastIndexByte(host, ']')+1:], ":") {
			host += ":26379"
		}
		one, err = redis.ParseURL("redis" + s.tls + "://" + s.login + host + "/" + strings.TrimPrefix(s.path, "/"))
		var quotes *url.Error // the URL, password included
		switch {
		case errors.As(err, &quotes):
			return nil, nil, errNoURL
		case err != nil, one.DB < 0:
			return nil, nil, errors.New("only the number of a database may follow the host, as in redis://127.0.0.1/0")
		}
		addrs = append(addrs, one.Addr)
	}
	if one.TLSConfig != nil {
		one.TLSConfig.ServerName = "" // each connection verifies the host that it connects to
	}
	return one, addrs, nil
}
