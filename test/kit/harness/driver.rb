# Runs Ruby code that a Go test sends as one JSON object per line: {"code", "q"}. Answers with
# {"ok"} or {"error", "backtrace"}. The code can use a real Sidekiq client, its API and its
# web page. REDIS_URL is the address of Redis.
$VERBOSE = nil
require "json"
require "rack"
require "sidekiq"
require "sidekiq/api"
require "sidekiq/web"
require_relative "jobs"

Sidekiq.configure_client { |c| c.redis = { url: ENV.fetch("REDIS_URL") } }
Sidekiq.logger.level = Logger::ERROR

SESSION = {}
APP = Rack::Builder.new do
  use(Class.new do
    def initialize(app) = @app = app
    def call(env)
      env["rack.session"] = SESSION
      @app.call(env)
    end
  end)
  run Sidekiq::Web.new
end.to_app
WEB = Rack::MockRequest.new(APP)

def get(path)
  r = WEB.get(path)
  { status: r.status, body: r.body }
end

def post(path, params)
  token = WEB.get("/busy").body[/name=['"]authenticity_token['"] value=['"]([^'"]+)/, 1]
  r = WEB.post(path, params: params.merge("authenticity_token" => token),
    "HTTP_SEC_FETCH_SITE" => "same-origin")
  { status: r.status }
end

# Returns an entry of a sorted set as Ruby's API reads it.
def entry(e)
  { jid: e.jid, error_class: e["error_class"], error_message: e["error_message"],
    retry_count: e["retry_count"], backtrace: e.error_backtrace, tags: e.tags }
end

def retries = Sidekiq::RetrySet.new.map { |e| entry(e) }

# Says whether Ruby would generate the same JSON.
def same_bytes?(raw) = JSON.generate(JSON.parse(raw)) == raw
def redis(*command) = Sidekiq.redis { |c| c.call(*command) }

# Redis hashes are lists in the library of 6, and hashes in that of 7 and 8.
def redis_hash(key)
  h = redis("HGETALL", key)
  h.is_a?(Hash) ? h : h.each_slice(2).to_h
end


def processes
  Sidekiq::ProcessSet.new.map do |p|
    { identity: p.identity, concurrency: p["concurrency"], busy: p["busy"], queues: p["queues"],
      tag: p.tag, labels: p.labels, quiet: p.stopping? }
  end
end

# Up to 7.1 the API gives a hash for a running job.
def work
  Sidekiq::WorkSet.new.map do |_, tid, w|
    if w.is_a?(Hash)
      { tid: tid, queue: w["queue"], jid: w["payload"]["jid"], run_at: w["run_at"] }
    else
      { tid: tid, queue: w.queue, jid: w.job.jid, run_at: w.run_at.to_i }
    end
  end
end

$stdout.sync = true
$stdin.each_line do |line|
  begin
    request = JSON.parse(line)
    q = request["q"]
    $stdout.puts JSON.generate({ ok: eval(request["code"], binding) })
  rescue Exception => e
    $stdout.puts JSON.generate({ error: "#{e.class}: #{e.message}",
      backtrace: (e.backtrace || []).first(5) })
  end
end
