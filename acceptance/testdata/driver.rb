# Speaks one JSON object a line with a Go test: a real Sidekiq client, its API and
# its web page, in one Ruby process. REDIS_URL says where.
$VERBOSE = nil
require "json"
require "rack"
require "sidekiq"
require "sidekiq/api"
require "sidekiq/web"

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
  r = WEB.post(path, params: params.merge("authenticity_token" => token), "HTTP_SEC_FETCH_SITE" => "same-origin")
  { status: r.status }
end

def entry(e)
  { jid: e.jid, class: e.klass, queue: e.queue, args: e.args, at: e.at.to_f, error_class: e["error_class"],
    error_message: e["error_message"], retry_count: e["retry_count"], backtrace: e.error_backtrace,
    failed_at: e["failed_at"], same_bytes: JSON.generate(JSON.parse(e.value)) == e.value }
end

def answer(q)
  case q["op"]
  when "push" # jobs: [[queue, class, args], ...]
    q["jobs"].map { |queue, klass, args| Sidekiq::Client.push("queue" => queue, "class" => klass, "args" => args, "backtrace" => true) }
  when "processes"
    Sidekiq::ProcessSet.new.map { |p| { identity: p.identity, concurrency: p["concurrency"], busy: p["busy"], queues: p["queues"], tag: p.tag, quiet: p.stopping? } }
  when "work"
    Sidekiq::WorkSet.new.map { |process, tid, w| { process: process, tid: tid, queue: w["queue"], jid: w["payload"]["jid"], run_at: w["run_at"] } }
  when "retries" then Sidekiq::RetrySet.new.map { |e| entry(e) }
  when "dead" then Sidekiq::DeadSet.new.map { |e| entry(e) }
  when "scheduled" then Sidekiq::ScheduledSet.new.map { |e| entry(e) }
  when "reschedule" then Sidekiq::ScheduledSet.new.each { |e| e.reschedule(Time.now + 500) }; Sidekiq::ScheduledSet.new.size
  when "queue" then Sidekiq::Queue.new(q["name"]).map { |j| { jid: j.jid, latency: j.latency, same_bytes: JSON.generate(JSON.parse(j.value)) == j.value } }
  when "stats" then s = Sidekiq::Stats.new; { processed: s.processed, failed: s.failed, retries: s.retry_size, dead: s.dead_size, scheduled: s.scheduled_size, enqueued: s.enqueued }
  when "history" then { processed: Sidekiq::Stats::History.new(1).processed.values, failed: Sidekiq::Stats::History.new(1).failed.values }
  when "get" then get(q["path"])
  when "post" then post(q["path"], q["params"])
  else raise "no op #{q["op"]}"
  end
end

$stdout.sync = true
$stdin.each_line do |line|
  begin
    $stdout.puts JSON.generate({ ok: answer(JSON.parse(line)) })
  rescue => e
    $stdout.puts JSON.generate({ error: "#{e.class}: #{e.message}", backtrace: e.backtrace.first(5) })
  end
end
