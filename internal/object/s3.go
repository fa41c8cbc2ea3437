package object

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// Config is how to reach a bucket. Empty fields are looked up in the variables
// that other programs for S3 read too.
type Config struct {
	Bucket     string
	Endpoint   string // URL; AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, or Amazon's
	Region     string // AWS_REGION, AWS_DEFAULT_REGION, or asked of the store
	Addressing string // "path", "virtual", or "" for what suits the endpoint
	Getenv     func(string) string
}

// Variables of the environment that say how to reach a store.
const (
	EndpointVar   = "AWS_ENDPOINT_URL_S3"
	RegionVar     = "AWS_REGION"
	AddressingVar = "SEXTANT_S3_ADDRESSING"
)

// amazon is the endpoint when none is named.
const amazon = "https://s3.amazonaws.com"

func (c *Config) env(names ...string) string {
	for _, n := range names {
		if c.Getenv == nil {
			break
		}
		if v := c.Getenv(n); v != "" {
			return v
		}
	}
	return ""
}

// ParseURL splits s3://bucket/prefix. The prefix has no slash at either end.
func ParseURL(s string) (bucket, prefix string, err error) {
	rest, ok := strings.CutPrefix(s, "s3://")
	bucket, prefix, _ = strings.Cut(rest, "/")
	prefix = strings.Trim(prefix, "/")
	if !ok || len(bucket) < 3 || strings.ContainsAny(bucket, "@:?#") || strings.ContainsAny(prefix, "?#\\\x00\n") {
		return "", "", fmt.Errorf("%q is not of the form s3://bucket/prefix", s)
	}
	for _, part := range strings.Split(prefix, "/") {
		if prefix != "" && (part == "" || part == "." || part == "..") {
			return "", "", fmt.Errorf("%q has an empty part, '.' or '..' in its prefix", s)
		}
	}
	return bucket, prefix, nil
}

// CheckEndpoint says in one sentence what is wrong with an endpoint's URL.
func CheckEndpoint(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return errors.New("the endpoint must be a URL such as https://minio.example.com:9000")
	case u.User != nil:
		return errors.New("the endpoint must hold no name or password: credentials come from the environment")
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return errors.New("the endpoint must hold no path: bucket and prefix stand in s3://bucket/prefix")
	}
	return nil
}

// S3 is a Bucket of a store that speaks S3's protocol.
type S3 struct {
	c      *minio.Client
	bucket string
	at     string
}

var _ Bucket = (*S3)(nil)

// Open prepares to talk to a bucket. Nothing is sent yet; the error says that
// the config cannot be right.
func Open(c Config) (*S3, error) {
	endpoint := c.Endpoint
	if endpoint == "" {
		endpoint = c.env(EndpointVar, "AWS_ENDPOINT_URL")
	}
	if endpoint == "" {
		endpoint = amazon
	}
	if err := CheckEndpoint(endpoint); err != nil {
		return nil, err
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil, err
	}
	if c.Region == "" {
		c.Region = c.env(RegionVar, "AWS_DEFAULT_REGION")
	}
	if c.Addressing == "" {
		c.Addressing = c.env(AddressingVar)
	}
	lookup := minio.BucketLookupAuto
	switch c.Addressing {
	case "":
	case "path":
		lookup = minio.BucketLookupPath
	case "virtual":
		lookup = minio.BucketLookupDNS
	default:
		return nil, fmt.Errorf("addressing is %q, must be path or virtual", c.Addressing)
	}
	tr, err := minio.DefaultTransport(u.Scheme == "https")
	if err != nil {
		return nil, fmt.Errorf("connect to object store: %w", err)
	}
	tr.DialContext = (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}).DialContext
	tr.ResponseHeaderTimeout, tr.MaxIdleConnsPerHost = 30*time.Second, 32
	client, err := minio.New(u.Host, &minio.Options{
		Creds: credentials.New(&chain{c: &c}), Secure: u.Scheme == "https", Transport: bodies{tr}, Region: c.Region, BucketLookup: lookup,
		MaxRetries: 3, // callers know better how long waiting makes sense
	})
	if err != nil {
		return nil, fmt.Errorf("connect to object store %s: %w", endpoint, err)
	}
	client.SetAppInfo("sextant", "1")
	return &S3{c: client, bucket: c.Bucket, at: u.Host}, nil
}

// chain looks for credentials where other programs do: the environment, files
// below ~/.aws, the identity of a service account, a container or the machine.
type chain struct {
	c   *Config
	now credentials.Provider // the one that gave them
}

var errNoCredentials = errors.New("no credentials were found")

func (p *chain) RetrieveWithCredContext(cc *credentials.CredContext) (credentials.Value, error) {
	fixed := credentials.Value{
		AccessKeyID: p.c.env("AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY"), SecretAccessKey: p.c.env("AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY"),
		SessionToken: p.c.env("AWS_SESSION_TOKEN"), SignerType: credentials.SignatureV4,
	}
	var why []error
	for _, x := range []credentials.Provider{&credentials.Static{Value: fixed}, p.files(), &credentials.IAM{Client: &http.Client{Timeout: 5 * time.Second}, Region: p.c.Region}} {
		v, err := x.RetrieveWithCredContext(cc)
		if err == nil && v.AccessKeyID != "" && v.SecretAccessKey != "" {
			p.now = x
			return v, nil
		}
		if err != nil {
			why = append(why, err)
		}
	}
	p.now = nil
	if p.c.env("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_PROFILE") != "" && len(why) > 0 {
		return credentials.Value{}, fmt.Errorf("%w: %w", errNoCredentials, errors.Join(why...))
	}
	return credentials.Value{}, errNoCredentials
}

func (p *chain) files() *credentials.FileAWSCredentials {
	f := &credentials.FileAWSCredentials{Profile: p.c.env("AWS_PROFILE")}
	if f.Filename = p.c.env("AWS_SHARED_CREDENTIALS_FILE"); f.Filename == "" && p.c.env("AWS_CONFIG_FILE") == "" {
		// Both files of the home folder are read unless one is named.
		if home := p.c.env("HOME"); home == "" {
			f.Filename = filepath.Join("nowhere", ".aws", "credentials")
		}
	}
	return f
}

func (p *chain) Retrieve() (credentials.Value, error) {
	return p.RetrieveWithCredContext(&credentials.CredContext{Client: &http.Client{Timeout: 5 * time.Second}})
}

func (p *chain) IsExpired() bool { return p.now == nil || p.now.IsExpired() }

// codes are the error codes of S3 that say more than that a request failed.
var codes = map[string]Kind{
	"NoSuchKey": Missing, "NoSuchObject": Missing, "NoSuchBucket": NoBucket, "InvalidBucketName": NoBucket, "PermanentRedirect": NoBucket,
	"AuthorizationHeaderMalformed": NoBucket, "InvalidRegion": NoBucket, "AccessDenied": Refused, "AllAccessDisabled": Refused,
	"InvalidAccessKeyId": Refused, "SignatureDoesNotMatch": Refused, "InvalidToken": Refused, "ExpiredToken": Refused, "AccountProblem": Refused,
	"InvalidSecurity": Refused, "Unauthorized": Refused, "XAmzContentSHA256Mismatch": Other,
	"RequestTimeTooSkewed": Clock, "RequestTimeout": Unreachable, "SlowDown": Unreachable, "SlowDownRead": Unreachable, "SlowDownWrite": Unreachable,
	"InternalError": Unreachable, "ServiceUnavailable": Unreachable, "Throttling": Unreachable, "XMinioServerNotInitialized": Unreachable,
	"OperationAborted": Unreachable,
}

func (b *S3) fail(op, key string, err error) error {
	if err == nil {
		return nil
	}
	e := &Error{Kind: Other, Op: op, URL: "s3://" + b.bucket + "/" + key, At: b.at, Err: err}
	var r minio.ErrorResponse
	var network net.Error
	switch {
	case errors.Is(err, errNoCredentials):
		e.Kind = NoCredentials
	case errors.As(err, &r):
		kind, known := codes[r.Code]
		switch {
		case known:
			e.Kind = kind
		case r.StatusCode >= 500 || r.StatusCode == http.StatusTooManyRequests || r.StatusCode == http.StatusRequestTimeout:
			e.Kind = Unreachable
		case r.StatusCode == http.StatusUnauthorized || r.StatusCode == http.StatusForbidden:
			e.Kind = Refused
		}
		if r.Code != "" && !strings.Contains(r.Error(), r.Code) {
			e.Err = fmt.Errorf("%s: %w", r.Code, err)
		}
	case errors.As(err, &network), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.Is(err, context.DeadlineExceeded):
		e.Kind = Unreachable
	case isCertificate(err):
	default:
		// Whatever broke on the way: connections end in many ways.
		var u *url.Error
		if errors.As(err, &u) {
			e.Kind = Unreachable
		}
	}
	if isCertificate(err) {
		e.Kind = Other
	}
	return e
}

// isCertificate reports a server that is not trusted: no waiting mends it.
func isCertificate(err error) bool { return strings.Contains(err.Error(), "x509: ") }

// List implements Bucket.
func (b *S3) List(ctx context.Context, prefix string, yield func(Info) error) error {
	for o := range b.c.ListObjectsIter(ctx, b.bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
		if o.Err != nil {
			return b.fail("list", prefix, o.Err)
		}
		if err := yield(Info{o.Key, o.Size, strings.Trim(o.ETag, `"`)}); err != nil {
			return err
		}
	}
	return b.fail("list", prefix, ctx.Err())
}

// Get implements Bucket.
func (b *S3) Get(ctx context.Context, key string, offset int64) ([]byte, error) {
	var opts minio.GetObjectOptions
	if offset > 0 {
		if err := opts.SetRange(offset, 0); err != nil {
			return nil, b.fail("read", key, err)
		}
	}
	var data []byte
	err := b.try(ctx, func() error {
		r, info, _, err := minio.Core{Client: b.c}.GetObject(ctx, b.bucket, key, opts)
		if err != nil {
			var e minio.ErrorResponse
			if errors.As(err, &e) && e.StatusCode == http.StatusRequestedRangeNotSatisfiable {
				st, serr := b.c.StatObject(ctx, b.bucket, key, minio.StatObjectOptions{})
				if serr == nil && st.Size == offset {
					return nil
				}
			}
			return err
		}
		defer r.Close()
		data, err = io.ReadAll(r)
		if err == nil && info.Size >= 0 && int64(len(data)) != info.Size {
			err = io.ErrUnexpectedEOF
		}
		return err
	})
	if err != nil {
		return nil, b.fail("read", key, err)
	}
	return data, nil
}

// try does a request whose answer may break off in its middle, which the
// client does not try again by itself.
func (b *S3) try(ctx context.Context, f func() error) error {
	for n := 1; ; n++ {
		err := f()
		if err == nil || ctx.Err() != nil || n == 3 || !Transient(b.fail("", "", err)) {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(n) * 200 * time.Millisecond):
		}
	}
}

// Download implements Bucket.
func (b *S3) Download(ctx context.Context, key string, w io.Writer) error {
	r, info, _, err := minio.Core{Client: b.c}.GetObject(ctx, b.bucket, key, minio.GetObjectOptions{})
	if err != nil {
		return b.fail("read", key, err)
	}
	defer r.Close()
	n, err := io.Copy(onlyWriter{w}, r)
	var local *writeError
	if errors.As(err, &local) {
		return local.err
	}
	if err == nil && info.Size >= 0 && n != info.Size {
		err = io.ErrUnexpectedEOF
	}
	return b.fail("read", key, err)
}

// onlyWriter marks errors of the receiving side.
type onlyWriter struct{ w io.Writer }

type writeError struct{ err error }

func (e *writeError) Error() string { return e.err.Error() }

func (o onlyWriter) Write(p []byte) (int, error) {
	n, err := o.w.Write(p)
	if err != nil {
		err = &writeError{err}
	}
	return n, err
}

// Put implements Bucket.
func (b *S3) Put(ctx context.Context, key string, body io.ReadSeeker, size int64) error {
	_, err := b.c.PutObject(ctx, b.bucket, key, body, size, minio.PutObjectOptions{
		ContentType: "application/octet-stream",
		// A checksum of the whole instead of signed chunks: all stores know it.
		SendContentMd5: true, DisableContentSha256: true,
	})
	return b.fail("write", key, err)
}

// Delete implements Bucket.
func (b *S3) Delete(ctx context.Context, key string) error {
	err := b.fail("delete", key, b.c.RemoveObject(ctx, b.bucket, key, minio.RemoveObjectOptions{}))
	if NotExist(err) {
		return nil
	}
	return err
}
