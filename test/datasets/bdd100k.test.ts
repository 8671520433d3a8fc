// BDD100K's labels become what `shard rds` reads.
import {expect, test} from 'vitest';
import {boxesOf, labelsOf as labelsRead} from '../../datasets/labels.ts';
import {labelsOf, timesOfDay} from '../../scripts/bdd100k_labels.ts';

test('boxes, the time of day and how crowded it is', () => {
  const box = (x1: number, category = 'car') => ({category, box2d: {x1, y1: 10, x2: 50, y2: 40}});
  const frames = [
    {name: 'v-0000001.jpg', videoName: 'v', frameIndex: 0, labels: [box(1), box(2, 'pedestrian'), box(60)]},
    {name: 'v-0000002.jpg', videoName: 'v', frameIndex: 1, labels: null},
    {
      name: 'v-0000003.jpg',
      videoName: 'v',
      frameIndex: 2,
      labels: [box(3), box(4, 'traffic sign'), {category: 'lane'}],
    },
  ];
  const times = timesOfDay([{name: 'v.jpg', attributes: {timeofday: 'night'}}, {name: 'w.jpg'}]);
  expect([...times]).toEqual([
    ['v', 'night'],
    ['w', 'undefined'],
  ]);
  const labels = labelsOf(frames, times.get('v')!);
  expect(labels).toMatchObject({fps: 5, night: 1, timeofday: 'night', crowdedness: 1});
  expect(labels.boxes).toEqual([
    {frame: 0, xyxy: [1, 10, 50, 40], class: 'car'},
    {frame: 0, xyxy: [2, 10, 50, 40], class: 'pedestrian'},
    {frame: 2, xyxy: [3, 10, 50, 40], class: 'car'},
    {frame: 2, xyxy: [4, 10, 50, 40], class: 'traffic sign'},
  ]);
  const stored = JSON.parse(JSON.stringify(labels));
  expect(boxesOf(stored.boxes)).toHaveLength(4);
  expect(labelsRead(stored, ['night', 'crowdedness'])).toEqual({night: 1, crowdedness: 1});
});
