import { asks, defineSink, Duration, readableNotice, Type, type Notice } from '#engine'
import { Poster } from './http/post.ts'

const MOST = 35_000                  // characters of a message; Slack cuts at 40,000

/** Answers of Slack that no second try changes (https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks): the webhook was taken away. */
const isGone = (status: number): boolean => status === 404 || status === 403

/**
 * Alerts to Slack, or what takes the same JSON (Mattermost, Rocket.Chat), by an incoming webhook. At least once: Slack knows no ids,
 * so a message that was sent before a crash may stand there twice; both have the id at their end. 2xx is delivered, 403 and 404 mean that
 * the webhook was taken away, all else is tried again.
 */
export const slack = defineSink({
  name: 'slack',
  summary: 'Sends alerts to a channel of Slack, or of what takes the same, by an incoming webhook.',
  options: Type.Object({
    url: Type.String({ description: 'The incoming webhook, such as https://hooks.slack.com/services/... It is a secret.', pattern: '^https?://', 'x-secret': true }),
    timeout: Duration({ description: 'How long an answer may take, at most 1m.', default: '15s' }),
    ...asks
  }),
  check ({ url, timeout }) {
    const parsed = URL.canParse(url) ? new URL(url) : undefined
    if (parsed === undefined) return 'url is not a URL'
    if (parsed.username !== '' || parsed.password !== '') return 'url has a user or password in it, which an incoming webhook does not need'
    return timeout > 0 && timeout <= 60_000 ? undefined : 'timeout must be more than 0 and at most 1m'
  },

  address: ({ url }) => url,
  receive (options, host) {
    const poster = new Poster('slack', options, host.egress, isGone)
    return {
      endpoint: poster.endpoint,
      send: (notice, signal) => poster.post(notice.id, slackBody(notice), signal),
      close: async () => { poster.close() }
    }
  }
})

/** Text with the three characters escaped that Slack reads as its own (https://docs.slack.dev/messaging/formatting-message-text), so that no name can mention people or hide a link. */
const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

export function slackBody (notice: Notice): string {
  const { title, lines } = readableNotice(notice)
  const text = [`*${escaped(title)}*`, ...lines.map(escaped)].join('\n').slice(0, MOST)
  return JSON.stringify({ text: `${text}\n_${notice.id}_`, mrkdwn: true })
}
